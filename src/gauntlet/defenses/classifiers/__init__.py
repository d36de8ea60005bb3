"""Defenses of classifiers: the loss that training descends. One file each."""

#: What the files of this folder register.
KIND = "classifier_defense"
