"""Products with large weights, of few rows and many times over: what a decoding step is made of."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PACKED = 1 << 17
"""Numbers from which on a weight is laid out anew; below, the call costs more than it saves."""


def _onednn() -> Any:
    """The operations that take weights in oneDNN's layout; None where this build of torch has none."""
    found: Any = torch.ops.mkldnn
    has = torch.backends.mkldnn.is_available() and hasattr(found, "_reorder_linear_weight")
    return found if has and hasattr(found, "_linear_pointwise") else None


_ONEDNN: Any = _onednn()
_PACKS = bool(_ONEDNN)


class Product:
    """The product with a weight in a decoding step, of a few rows with a large matrix, again and again.

    On a CPU the matrix is laid out once as oneDNN's kernels read it: torch's own product does that anew each time,
    which for few rows takes as long as the product (decision 0281).
    """

    __slots__ = ("_packed", "_weight")

    def __init__(self, weight: Tensor, rows: int) -> None:
        large = weight.numel() >= PACKED and weight.device.type == "cpu" and weight.dtype == torch.float32
        self._packed = large and _PACKS
        self._weight = _ONEDNN._reorder_linear_weight(weight.detach(), rows) if self._packed else weight

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed:
            return _ONEDNN._linear_pointwise(x, self._weight, None, "none", [], "")
        return functional.linear(x, self._weight)

    def added(self, to: Tensor, x: Tensor) -> Tensor:
        """`to` + product."""
        if self._packed:
            return _ONEDNN._linear_pointwise(x, to, self._weight, None, "add")
        return torch.addmm(to, x, self._weight.t())
