"""Tests of training need torch; without it they are skipped, and say so. One thread: the models are tiny."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'prowess[train]'")
torch.set_num_threads(1)
