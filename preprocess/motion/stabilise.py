"""First-order stabilisation: rigid head motion and flicker are taken out of what is magnified, without warping.

A frame that is shifted, zoomed, turned and lit a little differently is, to first order,

    x_t ≈ I + a_t·∂I/∂x + b_t·∂I/∂y + c_t·(x·∂I/∂x + y·∂I/∂y) + d_t·(x·∂I/∂y − y·∂I/∂x) + e_t·I + f_t

with the clip's mean frame I. These six images A (K, P) are the same for all frames of a clip, so the
least-squares fit of every band-passed frame on them is one small solve per clip:

    F X − C A   with   C = F X Aᵀ (A Aᵀ)⁺          (T, K), linear in the frames like everything else

Instead of forming the fit for every frame, `append_nuisances` appends the images to the clip and
`without_nuisances` appends −M X Aᵀ (A Aᵀ)⁺ to a temporal matrix M. One matrix product over (T+K) rows
then filters and stabilises at once. Local movement is not in the span of the six images and stays.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

_NEGLIGIBLE = 1e-6
"""Directions whose share of A Aᵀ is below this carry no texture (flat frames) and are left out of the fit."""


def nuisance_images(clip: np.ndarray, kind: str) -> np.ndarray:
    """The images that `kind` fits, (K, S, S, C) float32 of unit norm or zero, for a clip (T, S, S, C).

    "none" gives K = 0; "rigid" the six of the equation above; "affine" eight, with the two terms of
    zoom and the two of turn apart.
    """
    if kind == "none":
        return np.empty((0, *clip.shape[1:]), np.float32)
    mean = clip.mean(0, dtype=np.float32)
    height, width = mean.shape[:2]
    across, down = gradient(mean, 1), gradient(mean, 0)
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :, None]
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None, None]
    images = [across, down, *_LINEAR[kind](across, down, x, y), mean - mean.mean(), np.ones_like(mean)]
    stacked = np.stack(images)
    norms = np.sqrt(np.einsum("kp,kp->k", *(stacked.reshape(len(images), -1),) * 2))
    return stacked / np.maximum(norms, 1e-12)[:, None, None, None]


def gradient(image: np.ndarray, axis: int) -> np.ndarray:
    """∂I/∂y (axis 0) or ∂I/∂x (axis 1) of an (H, W, C) float32 image: central differences, one-sided at the edges."""
    if image.shape[axis] < 2:
        return np.zeros_like(image)
    kernel = np.array([[-0.5, 0, 0.5]], np.float32)
    found = cv2.filter2D(image, -1, kernel if axis else kernel.T, borderType=cv2.BORDER_REPLICATE)
    found = found.reshape(image.shape)  # OpenCV drops a channel axis of length 1
    edges: list[slice | int] = [slice(None)] * 3
    for edge in (0, -1):
        edges[axis] = edge
        found[tuple(edges)] *= 2
    return np.asarray(found)


def append_nuisances(clip: np.ndarray, kind: str) -> np.ndarray:
    """The clip and its nuisance images as one array, (T+K, S, S, C) float32."""
    images = nuisance_images(clip, kind)
    return np.concatenate([clip, images]) if len(images) else clip


def without_nuisances(matrix: np.ndarray, extended: np.ndarray) -> np.ndarray:
    """M (R, T) → (R, T+K): the temporal matrix that also removes its own fit on the nuisance images.

    Args:
        matrix: M, whose rows say what is made of the T frames (a filter, rank-pooling weights).
        extended: from `append_nuisances`, (T+K, S, S, C).
    """
    frames = matrix.shape[1]
    if len(extended) == frames:
        return matrix
    flat = extended.reshape(len(extended), -1)  # (T+K, P)
    images = flat[frames:]
    products = (images @ flat.T).astype(np.float64)  # (K, T+K): A Xᵀ beside A Aᵀ
    coefficients = np.linalg.pinv(products[:, frames:], rcond=_NEGLIGIBLE, hermitian=True) @ products[:, :frames]
    return np.hstack([matrix, -matrix @ coefficients.T])


def _rigid(across: np.ndarray, down: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    return [x * across + y * down, x * down - y * across]


def _affine(across: np.ndarray, down: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    return [x * across, y * across, x * down, y * down]


_LINEAR: Mapping[str, Callable[..., list[np.ndarray]]] = {"rigid": _rigid, "affine": _affine}
