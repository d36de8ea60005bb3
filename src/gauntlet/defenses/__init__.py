"""Defenses: how a network is trained to withstand attacks. One file each; see docs/add-a-defense.md."""

#: What the files of this folder register.
KIND = "defense"
