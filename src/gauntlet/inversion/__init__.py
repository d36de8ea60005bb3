"""Gradient inversion: training images from the updates that clients send in federated learning.

``engine.invert`` is the one search. ``methods/`` composes it from parts: what is matched (``matching``), how
far apart (``distances``, ``layer_weights``), what images look like (``priors``), where to begin (``starts``),
how to descend (``searches``) and where the labels come from (``labels``). Networks are in eval mode on both
sides: BatchNorm uses the statistics that the server sent.
"""
