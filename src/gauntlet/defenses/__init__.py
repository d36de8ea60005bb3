"""Defenses: how a network is trained to withstand attacks. One file each, by what the network gives:
embeddings or classes."""
