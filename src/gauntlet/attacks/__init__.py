"""Attacks: one PGD kernel (``pgd``), test-time attacks on embeddings, one file each."""

#: What the files of this folder register.
KIND = "attack"
