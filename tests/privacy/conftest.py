"""Makes ``toy_privacy.py`` importable, and ``handmade.py`` of the tests of data."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "data")]
