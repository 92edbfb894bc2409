"""A picture of the answer to one new clip: what was seen, where the evidence lay, how sure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from train.data.clips import ClipSet
from train.report.pictures import ClipPictures, draw_panels
from train.report.style import CYCLE, figure, save


def draw_answer(
    clips: ClipSet,
    clip: int,
    classes: Sequence[str],
    probabilities: np.ndarray,
    maps: Mapping[str, np.ndarray],
    folder: Path,
) -> None:
    """Write `<subject>__<clip>__heat` as PNG and PDF.

    Args:
        clips: where the pixels are.
        clip: which clip.
        classes: class names.
        probabilities: (classes,).
        maps: Grad-CAM maps as in `ClipPictures`.
        folder: where to.
    """
    reader, row = clips.rows[clip]
    cache = clips.readers[reader]
    panels = ClipPictures(cache.dynamic_image(row), cache.motion(row), maps).panels
    made, axes = figure(2 * len(panels) + 3, 2.2, columns=len(panels) + 1)
    draw_panels(axes[:-1], panels)
    colours = [CYCLE[0] if number == probabilities.argmax() else "#BBBBBB" for number in range(len(classes))]
    axes[-1].barh(list(classes), probabilities, color=colours)
    axes[-1].set(xlim=(0, 1), xlabel="probability")
    axes[-1].invert_yaxis()
    _, subject, name = clips.keys[clip]
    save(made, folder, f"{subject}__{name}__heat")
