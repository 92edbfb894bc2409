"""What there is to see of a clip, as a row of panels: onset, dynamic image, magnified frame, heat maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Panel:
    """A picture under a title, with a heat map over it or without."""

    title: str
    image: np.ndarray
    heat: np.ndarray | None = None


@dataclass(frozen=True)
class ClipPictures:
    """The pixels of a clip and where the evidence lay in them.

    Attributes:
        dynamic_image: (S, S, 3) uint8.
        motion: (T, S, S, 3) uint8.
        maps: Grad-CAM maps, each (rows, columns): `image` over the dynamic image, `motion` over the magnified
            frames; whichever could be made.
    """

    dynamic_image: np.ndarray
    motion: np.ndarray
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def panels(self) -> list[Panel]:
        """The panels, from left to right."""
        middle = self.motion[len(self.motion) // 2]
        shown = [
            Panel("onset", self.motion[0]),
            Panel("dynamic image", self.dynamic_image),
            Panel("magnified, middle", middle),
        ]
        under = {"image": self.dynamic_image, "motion": middle}
        return shown + [Panel(f"Grad-CAM: {name}", under[name], self.maps[name]) for name in under if name in self.maps]


def draw_panels(axes: Sequence[Any], panels: Sequence[Panel], titles: bool = True) -> None:
    """Draw each panel on its own matplotlib axes; heat maps are scaled to their own maxima."""
    for axis, panel in zip(axes, panels, strict=True):
        axis.imshow(panel.image)
        if panel.heat is not None:
            size = panel.image.shape[0]
            axis.imshow(
                panel.heat / max(float(panel.heat.max()), 1e-12),
                cmap="inferno",
                alpha=0.55,
                extent=(0, size, size, 0),
                interpolation="bilinear",
            )
            axis.set(xlim=(0, size), ylim=(size, 0))
        axis.axis("off")
        if titles:
            axis.set_title(panel.title, fontsize=9)
