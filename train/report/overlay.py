"""A picture with a heat map over it."""

from typing import Any

import numpy as np


def show_picture(panel: Any, image: np.ndarray, heat: np.ndarray | None = None) -> None:
    """Draw an image on matplotlib axes, and over it, if given, a heat map scaled to its own maximum.

    Args:
        panel: the axes.
        image: (S, S, 3) uint8.
        heat: (rows, columns), 0 or more, of the same square.
    """
    panel.imshow(image)
    if heat is not None:
        size = image.shape[0]
        panel.imshow(
            heat / max(float(heat.max()), 1e-12),
            cmap="inferno",
            alpha=0.55,
            extent=(0, size, size, 0),
            interpolation="bilinear",
        )
        panel.set(xlim=(0, size), ylim=(size, 0))
    panel.axis("off")
