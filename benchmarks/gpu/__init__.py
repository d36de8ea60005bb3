"""How well a GPU is used: every stage against the ceiling that this device itself reaches."""
