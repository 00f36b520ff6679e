"""Tests of training need torch; without it they are skipped, and say so. One thread: the models are tiny."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("torch") is not None:
    import torch

    torch.set_num_threads(1)

else:

    class WithoutTorch(pytest.Module):
        def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
            pytest.skip("training needs torch: pip install 'prowess[train]'", allow_module_level=True)

    def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
        return WithoutTorch.from_parent(parent, path=module_path)
