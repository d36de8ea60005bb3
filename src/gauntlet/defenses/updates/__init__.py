"""Defenses of what a federated client sends, or of how it trains; one file each, see docs/federated.md."""

#: What the files of this folder register.
KIND = "update_defense"
