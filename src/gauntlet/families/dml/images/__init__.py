"""The images of a trial on their device: one file per form of dataset (``gauntlet.data.registry``), so that
networks of arrays do not depend on how photos are decoded."""

#: What the files of this folder register.
KIND = "form"
