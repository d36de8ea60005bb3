"""Losses that several defenses share."""
