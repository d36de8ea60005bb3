"""Federated learning: simulate clients and a server, round by round."""
