"""Membership inference: was an example in the training data? One file per attack."""

#: What the files of this folder register.
KIND = "membership"
