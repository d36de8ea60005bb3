"""Attribute inference: what the task has no need of, read from what was released. One file per attack."""

#: What the files of this folder register.
KIND = "attribute_inference"
