"""Linear maps for many folds at once: of features, and of pixels that stay bytes in memory, backward pass included."""

from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

_CENTRE = 128  # taken off the bytes before any arithmetic: the difference is exact even in bfloat16
_CPU_CHUNK = 1 << 22  # values converted at a time on a CPU, so that they stay in its cache


class FoldModule(nn.Module):
    """A module whose own parameters all have a leading fold axis."""

    def reset_fold(self, fold: int, generator: torch.Generator) -> None:
        """Draw the parameters of one fold."""
        raise NotImplementedError


class FoldLinear(FoldModule):
    """F independent linear maps: x (F, N, in) → (F, N, out).

    Args:
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


class _ByteLinear(torch.autograd.Function):
    """(bytes − 128) @ weight, without keeping the bytes as floats."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor) -> Tensor:
        """Pixels (F, N, in) uint8, weight (F, in, out) → (F, N, out) in the dtype of `weight`."""
        ctx.save_for_backward(pixels)
        out = weight.new_empty(*pixels.shape[:2], weight.shape[2])
        for folds, rows in _chunks(pixels):
            torch.bmm(_centred(pixels[folds, rows], weight.dtype), weight[folds], out=out[folds, rows])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        """Gradient of `weight`; pixels have none."""
        (pixels,) = ctx.saved_tensors
        total = grad.new_zeros(grad.shape[0], pixels.shape[2], grad.shape[2])
        for folds, rows in _chunks(pixels):
            total[folds].baddbmm_(_centred(pixels[folds, rows], grad.dtype).mT, grad[folds, rows])
        return None, total


def byte_linear(pixels: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Linear map of normalised pixels: (F, N, in) uint8 → (F, N, out).

    Weight (F, in, out) and bias (F, 1, out) are for normalised pixels. Normalising, (pixel − 128)·scale + shift, each
    (in, 1), is affine, so it is done to the weights instead.
    """
    device, dtype = pixels.device.type, weight.dtype
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    product: Tensor = _ByteLinear.apply(pixels, (weight * scale.to(weight)).to(dtype))
    return product + (bias + (weight * shift.to(weight)).sum(1, keepdim=True)).to(dtype)


def normalisation(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """`scale` and `shift` of each channel for (pixel/255 − mean)/std, float64 to be rounded once, in use."""
    means, deviations = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    return 1 / (255 * deviations), (_CENTRE / 255 - means) / deviations


def centred_mean(cells: Tensor, pixels: Tensor) -> Tensor:
    """Averages of centred pixels: cells (G, n) @ (…, n, in) uint8 → (…, G, in), still to be scaled and shifted."""
    return cells @ _centred(pixels, cells.dtype)


def _centred(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    return pixels.to(dtype).sub_(_CENTRE)


def _chunks(pixels: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of folds and rows; a GPU takes all at once."""
    folds, rows, width = pixels.shape
    if pixels.device.type != "cpu":
        yield slice(0, folds), slice(0, rows)
        return
    step = max(1, _CPU_CHUNK // width)
    for fold in range(folds):
        for start in range(0, rows, step):
            yield slice(fold, fold + 1), slice(start, start + step)
