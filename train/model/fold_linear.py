"""Linear maps for many folds at once: one set of weights per fold, one batched matrix product for all."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn


class FoldModule(nn.Module):
    """A module whose own parameters all have a leading fold axis."""

    def reset_fold(self, fold: int, generator: torch.Generator) -> None:
        """Draw the parameters of one fold."""
        raise NotImplementedError


class FoldLinear(FoldModule):
    """F independent linear maps: x (F, N, in) → (F, N, out).

    Args:
        folds: F.
        inputs: features in.
        outputs: features out.
        bias: whether each map has a bias.
        zero: start with weights of zero instead of the usual uniform ±1/√in.
        bias_start: what the bias starts as, (out,), instead of uniform ±1/√in.
    """

    def __init__(
        self,
        folds: int,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        zero: bool = False,
        bias_start: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.zero, self.bias_start = zero, bias_start
        self.weight = nn.Parameter(torch.zeros(folds, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(folds, 1, outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply map f to x[f]."""
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)

    @torch.no_grad()
    def reset_fold(self, fold: int, generator: torch.Generator) -> None:
        """Draw the weights of one fold."""
        bound = 0.0 if self.zero else 1 / sqrt(self.weight.shape[1])
        self.weight[fold].uniform_(-bound, bound, generator=generator)
        if self.bias is not None:
            self.bias[fold].uniform_(-bound, bound, generator=generator)
            if self.bias_start is not None:
                self.bias[fold] = self.bias_start


def reset_folds(module: nn.Module, seeds: Sequence[int]) -> None:
    """Draw the parameters of every fold from its own seed.

    A fold's start depends on its seed alone, not on which other folds are trained beside it. Call
    it before moving the module to a device: the generators live on the CPU.
    """
    for fold, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        for part in module.modules():
            if isinstance(part, FoldModule):
                part.reset_fold(fold, generator)
