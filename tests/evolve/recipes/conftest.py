"""Tests of recipes use the parts beside those of the loop."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
