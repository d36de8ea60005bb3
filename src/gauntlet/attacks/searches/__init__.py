"""Searches: how the objective of an attack on embeddings is maximised. One file each."""

#: What the files of this folder register.
KIND = "search"
