"""A linear map of pixels that stay bytes: in memory, and for the backward pass too."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

_CENTRE = 128  # taken off the bytes before any arithmetic: the difference is exact even in bfloat16
_CPU_CHUNK = 1 << 22  # values converted at a time on a CPU, so that they stay in its cache


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

    Normalising, (pixel − 128)·scale + shift, is affine, so it is done to the weights instead.

    Args:
        pixels: (F, N, in) uint8.
        weight: (F, in, out), for normalised pixels.
        bias: (F, 1, out).
        scale: (in, 1).
        shift: (in, 1).
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
