"""Losses of metric learning, one file each."""

#: What the files of this folder register.
KIND = "loss"
