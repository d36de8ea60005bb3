"""Stealing a model through its answers: how queries are made and a substitute is trained. One file each."""

#: What the files of this folder register.
KIND = "stealing"
