"""Where a run stands, from files alone: what is done, at work, failed, and how long the rest may take.

Nothing here starts, locks or asks a process; any number of terminals may look, on any machine that sees the
files.
"""
