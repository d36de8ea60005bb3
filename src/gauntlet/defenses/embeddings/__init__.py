"""Defenses of embedding networks, one file each; see docs/add-a-defense.md."""

#: What the files of this folder register.
KIND = "defense"
