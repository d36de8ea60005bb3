"""Attacks: one PGD kernel (``pgd``), test-time attacks on embeddings, one file each."""
