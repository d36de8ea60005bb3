"""Families: the capabilities that studies share. Each has ``settings``, ``train`` and ``evaluate``."""
