"""Where drawn numbers come from: traced to their trials, checked against recorded hashes, packed, cited.

``trace.trace`` is for those who want the chain behind a figure, a claim or a number as data.
"""
