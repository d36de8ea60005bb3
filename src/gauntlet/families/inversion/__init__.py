"""Gradient inversion: updates of a federation, captured as the server sees them, and attacks on them."""
