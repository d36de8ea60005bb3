"""Federated learning by distilled data: clients share a few synthetic samples, no weights or gradients."""
