"""First-order stabilisation: rigid head motion and flicker are taken out of what is magnified, without warping.

A frame that is shifted, zoomed, turned and lit a little differently is, to first order,

    x_t ≈ I + a_t·∂I/∂x + b_t·∂I/∂y + c_t·(x·∂I/∂x + y·∂I/∂y) + d_t·(x·∂I/∂y − y·∂I/∂x) + e_t·I + f_t

with the clip's mean frame I. These six images A (K, P) are the same for all frames of a clip, so the
least-squares fit of every band-passed frame on them is one small solve per clip:

    F X − C A   with   C = F X Aᵀ (A Aᵀ)⁺          (T, K), linear in the frames like everything else

Instead of forming the fit for every frame, `append_nuisances` puts the images after the clip and
`without_nuisances` appends −M X Aᵀ (A Aᵀ)⁺ to a temporal matrix M. One matrix product over (T+K) rows
then filters and stabilises at once. Local movement is not in the span of the six images and stays.
"""

from collections.abc import Callable, Mapping

import numpy as np

NUISANCES = {"none": 0, "rigid": 6, "affine": 8}  # K of each kind of stabilisation
_LINEAR: Mapping[str, Callable[..., list[np.ndarray]]] = {
    "rigid": lambda across, down, x, y: [x * across + y * down, x * down - y * across],
    "affine": lambda across, down, x, y: [x * across, y * across, x * down, y * down],
}
_NEGLIGIBLE = 1e-6
"""Directions whose share of A Aᵀ is below this carry no texture (flat frames) and are left out of the fit."""
_FLAT = 1e-4  # rms in grey levels: an image that shows less is rounding noise
_BLOCK = 1 << 12  # pixels per matrix product: longer ones took twice as long


def append_nuisances(clip: np.ndarray, kind: str, frames: int) -> np.ndarray:
    """The clip and the images that `kind` fits, after one another: (T+K, S, S, C) float32.

    "none" has K = 0; "rigid" the six of the equation above; "affine" eight, with the two terms of zoom
    and the two of turn apart.

    Args:
        clip: (T, S, S, C), which is copied; or (T+K, S, S, C), whose last K are overwritten.
        kind: of `NUISANCES`.
        frames: T.
    """
    if kind == "none":
        return clip
    if len(clip) == frames:
        clip = np.concatenate([clip, np.empty((NUISANCES[kind], *clip.shape[1:]), clip.dtype)])
    mean = clip[:frames].mean(0, dtype=np.float32)
    height, width, channels = mean.shape
    down, across = (slope.reshape(height, -1) for slope in np.gradient(mean, axis=(0, 1)))
    # Rows of W·C values, because numpy is slow where an inner axis is as short as that of the channels.
    x = np.repeat(np.arange(width, dtype=np.float32) - (width - 1) / 2, channels)
    y = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    light = (mean - mean.mean()).reshape(height, -1)
    rows = clip.reshape(len(clip), height, -1)[frames:]
    for row, image in zip(rows, [across, down, *_LINEAR[kind](across, down, x, y), light, 1], strict=True):
        row[:] = image
    return clip


def without_nuisances(matrix: np.ndarray, extended: np.ndarray) -> np.ndarray:
    """M (R, T) → (R, T+K): the temporal matrix that also removes its own fit on the nuisance images.

    Args:
        matrix: M, whose rows say what is made of the T frames (a filter, rank-pooling weights).
        extended: X and A, of `append_nuisances`, (T+K, S, S, C).
    """
    frames, flat = matrix.shape[1], extended.reshape(len(extended), -1)  # (T+K, P)
    if len(flat) == frames:
        return matrix
    products = np.zeros((len(flat) - frames, len(flat)))  # A Xᵀ beside A Aᵀ
    for start in range(0, flat.shape[1], _BLOCK):
        block = flat[:, start : start + _BLOCK]
        products += block[frames:] @ block.T
    norms = np.sqrt(products[:, frames:].diagonal())
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > _FLAT * np.sqrt(flat.shape[1]))
    products *= scale[:, None]  # images of unit norm; those that show nothing become zero
    inverse = np.linalg.pinv(products[:, frames:] * scale, rcond=_NEGLIGIBLE, hermitian=True)
    return np.hstack([matrix, -matrix @ products[:, :frames].T @ inverse * scale])
