"""One file per format. A reader turns verified files into arrays:

``read(files: dict[str, Path], entry: Entry) -> dict[str, ndarray]``; the keys of ``files`` are the
registry's, and the result has ``train_images`` and ``test_images``, uint8 (n, C, H, W), and
``train_labels`` and ``test_labels``, integers (n,). Nothing is ever unpickled.

The reader of a set of photos returns the official index alone, a ``gauntlet.data.packed.Album``, and that of
a set of files a ``gauntlet.data.prepared_bundle.Bundle``; the files go from archive to prepared form one by
one. The reader of a table has ``train_features``, float64 (n, d), in place of images, and so on. The
reader of crowdsourced labels returns a ``gauntlet.data.prepared_crowd.Crowd``.
"""

#: What the files of this folder register.
KIND = "reader"
