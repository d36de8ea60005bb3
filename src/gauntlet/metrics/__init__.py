"""Scores of embeddings (retrieval, clustering) and the sanity suite of robustness numbers."""
