"""A picture of the answer to one new clip: what was seen, where the evidence lay, how sure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from train.clips import ClipSet
from train.report.overlay import show_picture
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
        maps: Grad-CAM maps: `image` over the dynamic image, `motion` over the magnified frames.
        folder: where to.
    """
    reader, row = clips.rows[clip]
    image, motion = clips.readers[reader].dynamic_image(row), clips.readers[reader].motion(row)
    middle = motion[len(motion) // 2]
    panels: list[tuple[str, np.ndarray, np.ndarray | None]] = [
        ("onset", motion[0], None),
        ("dynamic image", image, None),
        ("magnified, middle", middle, None),
    ]
    seen = {"image": ("Grad-CAM: image", image), "motion": ("Grad-CAM: motion", middle)}
    panels += [(title, picture, maps[name]) for name, (title, picture) in seen.items() if name in maps]
    made, axes = figure(2 * len(panels) + 3, 2.2, columns=len(panels) + 1)
    for panel, (title, picture, heat) in zip(axes, panels, strict=False):
        show_picture(panel, picture, heat)
        panel.set_title(title, fontsize=9)
    colours = [CYCLE[0] if number == probabilities.argmax() else "#BBBBBB" for number in range(len(classes))]
    axes[-1].barh(list(classes), probabilities, color=colours)
    axes[-1].set(xlim=(0, 1), xlabel="probability")
    axes[-1].invert_yaxis()
    _, subject, name = clips.keys[clip]
    save(made, folder, f"{subject}__{name}__heat")
