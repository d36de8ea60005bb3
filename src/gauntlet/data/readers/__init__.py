"""One file per format. A reader turns verified files into arrays:

``read(files: dict[str, Path], entry: Entry) -> dict[str, ndarray]``; the keys of ``files`` are the
registry's, and the result has ``train_images`` and ``test_images``, uint8 (n, C, H, W), and
``train_labels`` and ``test_labels``, integers (n,). Nothing is ever unpickled.

The reader of a set of photos returns the official index alone, a ``gauntlet.data.packed.Album``; the photos
go from their archive to the prepared form one by one.
"""

#: What the files of this folder register.
KIND = "reader"
