"""Inversion attacks, one file each: which parts, with which settings."""

#: What the files of this folder register.
KIND = "inversion"
