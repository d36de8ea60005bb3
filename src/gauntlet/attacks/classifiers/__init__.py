"""Attacks on classifiers, one file each, on the kernels of ``gauntlet.attacks``."""

#: What the files of this folder register.
KIND = "classifier_attack"
