"""Dataset distillation for several clients at once: a few synthetic samples in place of many images.

One file per outer objective, and the two baselines that share real images or nothing.
"""

#: What the files of this folder register.
KIND = "distillation"
