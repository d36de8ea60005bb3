"""Aggregation: how local models become the global one. One file each.

A rule is a function ``samples -> weights``: the clients' numbers of images (k,) to the weights (k,), sum 1,
of the mean of their models. Any subset of a round's clients is aggregated by the same rule.
"""

#: What the files of this folder register.
KIND = "aggregation"
