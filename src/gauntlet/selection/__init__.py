"""Selection: which clients take part in a round. One file each; see ``base.py`` for what a method is told."""

#: What the files of this folder register.
KIND = "selection"
