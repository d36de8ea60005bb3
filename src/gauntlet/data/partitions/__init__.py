"""Partitions: who owns which training images. One file each.

A partition is a function ``(labels, clients, generator, **options) -> Partition``, registered under its
file's name; its keyword-only arguments are the options that a configuration may give.
"""

#: What the files of this folder register.
KIND = "partition"
