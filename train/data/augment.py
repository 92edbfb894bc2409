"""Random changes of a clip: the same for its image and for every one of its motion frames.

Motion lives between frames, so a change that differed from frame to frame would be motion itself.
Parameters are drawn per clip from the fold's own generator; pixels go in and come out as bytes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Change:
    """What happens to each clip of a batch; all arrays (F, B).

    `mirror` swaps left and right; `gain` and `offset` (in grey levels) change the pixels; `left`, `top` and `side` are
    those of the crop as shares of the image, and a side of 1 keeps it.
    """

    mirror: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    left: np.ndarray
    top: np.ndarray
    side: np.ndarray

    def packed(self) -> Tensor:
        """All of it as numbers, (6, F, B) float32."""
        return torch.from_numpy(np.stack(tuple(vars(self).values())).astype(np.float32))


@dataclass(frozen=True)
class Augmentation:
    """Ranges to draw from."""

    mirror: float = 0.5  # probability
    gain: float = 0.0  # largest relative change of contrast
    offset: float = 0.0  # largest change of brightness in grey levels
    crop: float = 0.0  # largest share of the side that is cut away

    def draw(self, generators: list[np.random.Generator], batch: int) -> Change:
        """Parameters for `batch` clips of each fold, from the fold's own generator."""
        numbers = np.stack([generator.random((6, batch)) for generator in generators], 1)  # (6, F, B)
        side = 1 - self.crop * numbers[3]
        return Change(
            mirror=numbers[0] < self.mirror,
            gain=1 + self.gain * (2 * numbers[1] - 1),
            offset=self.offset * (2 * numbers[2] - 1),
            side=side,
            left=(1 - side) * numbers[4],
            top=(1 - side) * numbers[5],
        )


AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "flip": Augmentation(),
    "flip+jitter": Augmentation(gain=0.1, offset=12.0),
    "crop": Augmentation(crop=0.125),
}


def apply_change(change: Change, frames: Tensor, packed: Tensor | None = None) -> Tensor:
    """Change the frames (F, B, T, H, W, 3) uint8 of every clip alike; same shape and type.

    `packed` is that of `change` where the frames are, for callers that have it there already.
    """
    numbers = change.packed().to(frames.device) if packed is None else packed
    return torch.stack([_change_fold(change, frames[fold], fold, numbers[:, fold]) for fold in range(len(frames))])


def _change_fold(change: Change, frames: Tensor, fold: int, numbers: Tensor) -> Tensor:
    batch, times, height, width, _ = frames.shape
    mirrored, gain, offset, left, top, side = numbers
    mirror = mirrored > 0
    if (change.side[fold] == 1).all() and (change.gain[fold] == 1).all() and (change.offset[fold] == 0).all():
        return torch.where(mirror[:, None, None, None, None], frames.flip(3), frames)  # exact, and without floats
    pixels = frames.float().permute(0, 1, 4, 2, 3).reshape(batch, times * 3, height, width)
    sign = torch.where(mirror, -1.0, 1.0)
    zero = torch.zeros_like(side)
    # affine_grid maps the output square −1..1 to the crop: centre + half-width · position
    rows = [torch.stack([sign * side, zero, 2 * left + side - 1], 1), torch.stack([zero, side, 2 * top + side - 1], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [batch, 1, height, width], align_corners=False)
    moved = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    lit = (moved - 128) * gain[:, None, None, None] + 128 + offset[:, None, None, None]
    rounded = lit.round_().clamp_(0, 255).to(torch.uint8)
    return rounded.view(batch, times, 3, height, width).permute(0, 1, 3, 4, 2)
