"""Pictures of single clips: what the model saw, where the evidence lay (Grad-CAM), and the probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_cache.filters import recover
from train.report.figures import CYCLE, figure, paper_style, save
from train.results.metrics import Prediction

if TYPE_CHECKING:  # torch, which a report without pictures does not need
    from train.data.task import ClipSet


@dataclass(frozen=True)
class ClipPictures:
    """The pixels of a clip and where the evidence lay in them.

    Attributes:
        dynamic_image: (S, S, 3) uint8.
        motion: (T, S, S, 3) uint8.
        maps: Grad-CAM maps, each (rows, columns): `image` over the dynamic image, `motion` over the magnified
            frames; whichever could be made.
        eye: the middle frame made to be looked at (see `recover`), (S, S) uint8; None where there is
            none.
        eye_alpha: its α.
        onset: the onset frame, (S, S, 3) uint8; None where the cache has none.
    """

    dynamic_image: np.ndarray
    motion: np.ndarray
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    eye: np.ndarray | None = None
    eye_alpha: float = 0.0
    onset: np.ndarray | None = None

    @property
    def panels(self) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
        """Title, picture and the map over it or None, from left to right."""
        middle = self.motion[len(self.motion) // 2]
        under = {"image": self.dynamic_image, "motion": middle}
        return [
            *([] if self.onset is None else [("onset", self.onset, None)]),
            ("dynamic image", self.dynamic_image, None),
            ("for the network", middle, None),
            *([] if self.eye is None else [("for the eye", self.eye, None)]),
            *((f"Grad-CAM: {name}", under[name], self.maps[name]) for name in under if name in self.maps),
        ]


def pictures_of(
    clips: ClipSet, predictions: Sequence[Prediction], maps: Sequence[Mapping[str, np.ndarray]]
) -> list[ClipPictures]:
    """Pixels of the predicted clips, each with its Grad-CAM `maps`."""
    found = [clips.keys.index(prediction.key) for prediction in predictions]
    made = [
        ClipPictures(clips.read("dynamic_image", clip), clips.read("motion", clip), each, onset=clips.onset_frame(clip))
        for clip, each in zip(found, maps, strict=True)
    ]
    shown = [_with_eye(picture, clips, clip) for picture, clip in zip(made, found, strict=True)]
    return made if any(picture.eye is None for picture in shown) else shown  # rows of a figure have the same panels


def _with_eye(picture: ClipPictures, clips: ClipSet, clip: int) -> ClipPictures:
    reader, row = clips.rows[clip]
    n_frames, fps = int(reader.clips.n_frames[row]), float(reader.clips.fps[row])
    found = recover(picture.motion, picture.onset, reader.attributes.recipe, n_frames, fps)
    middle = None if found.eye is None else found.eye[len(found.eye) // 2]
    return replace(picture, eye=middle, eye_alpha=found.eye_alpha)


def draw_prediction(prediction: Prediction, picture: ClipPictures, classes: Sequence[str], folder: Path) -> None:
    """Write `<subject>__<clip>__heat` as PNG and PDF into `folder`."""
    with paper_style():
        made, axes = figure(1.5, columns=len(picture.panels) + 1)
        draw_panels(axes[:-1], picture)
        draw_probabilities(axes[-1], prediction, classes, CYCLE[0])
        axes[-1].set(xlabel="probability")
        save(made, folder, "__".join([*prediction.key[1:], "heat"]))


def draw_panels(axes: Sequence[Any], picture: ClipPictures, titles: bool = True) -> None:
    """Draw each panel on its own matplotlib axes; Grad-CAM maps are scaled to their own maxima."""
    for axis, (title, image, heat) in zip(axes, picture.panels, strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        if image is picture.eye:
            axis.text(0.5, -0.02, f"α = {picture.eye_alpha:g}", transform=axis.transAxes, ha="center", va="top")
        if heat is not None:
            size = image.shape[0]
            scaled = heat / max(float(heat.max()), 1e-12)
            axis.imshow(scaled, cmap="inferno", alpha=0.55, extent=(0, size, size, 0), interpolation="bilinear")
            axis.set(xlim=(0, size), ylim=(size, 0))
        axis.axis("off")
        if titles:
            axis.set_title(title.replace(": ", "\n").replace(", ", "\n").replace(" ", "\n"), fontweight="normal")


def draw_probabilities(axis: Any, prediction: Prediction, classes: Sequence[str], colour: str) -> None:
    """A bar per class, the predicted one in `colour`; the true class is marked where it is known."""
    colours = [colour if number == prediction.predicted else "#BBBBBB" for number in range(len(classes))]
    labels = [f"{name} (true)" if number == prediction.true else name for number, name in enumerate(classes)]
    axis.barh(labels, prediction.probabilities, color=colours)
    axis.set(xlim=(0, 1))
    axis.invert_yaxis()
