"""What a target does to its answers against theft, one file each."""

#: What the files of this folder register.
KIND = "oracle_defense"
