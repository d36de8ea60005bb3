"""Attacks: numeric kernels (``pgd``, ``random_search``), and test-time attacks on embeddings, one file each.

``ranking`` has those on ranks and cosines, ``searches`` how any of them is maximised."""

#: What the files of this folder register.
KIND = "attack"
