"""Tests of recipes use the parts beside those of the loop, and the world of lamps."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "suites")]
