"""Single clips: what the model saw, what it answered, and where the evidence lay (Fig. 7 and 8 of the paper)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.report.heat import ClipPictures, pictures_of
from train.report.loaded import LoadedRun, Prediction
from train.report.overlay import show_picture
from train.report.page import Picture, Section
from train.report.style import CYCLE, figure, save
from train.report.tables import Row, Table


def gallery_section(run: LoadedRun, folder: Path, caches: Sequence[Path]) -> Section:
    """A table of all predictions; pictures of some clips where the caches are at hand."""
    section = Section("clips", "Clips", tables=[predictions_table(run)])
    if not caches:
        section.texts.append("The caches of this run are not at hand, or --no-images was given: no pictures of clips.")
        return section
    chosen = choose_clips(run)
    pictures = pictures_of(run, chosen, caches)
    section.texts.append(
        "For each class the clip that is right with the most confidence, and the one that is wrong with the most. "
        "Grad-CAM on the image tokens shows where in the image the evidence for the answer lies; on the motion "
        "patches, where in the magnified frames. Both are relative: each is scaled to its own maximum."
    )
    answers = "; ".join(f"{'/'.join(p.key)}: {run.classes[p.predicted]} {p.probabilities.max():.0%}" for p in chosen)
    source = save(gallery_figure(run, chosen, pictures), folder, "gallery")
    section.pictures.append(
        Picture(source, f"Pictures and answers of {len(chosen)} clips. {answers}", "Green: right. Red: wrong.")
    )
    return section


def choose_clips(run: LoadedRun, most: int = 12) -> list[Prediction]:
    """Per class, the most confident right answer and the most confident wrong one."""
    chosen: list[Prediction] = []
    for number in range(len(run.classes)):
        for right in (True, False):
            fitting = [p for p in run.predictions if p.true == number and p.right == right]
            chosen += sorted(fitting, key=lambda p: -float(p.probabilities.max()))[:1]
    return chosen[:most]


def predictions_table(run: LoadedRun) -> Table:
    """Every tested clip with its probabilities."""
    rows = tuple(
        Row(
            (
                "/".join(p.key),
                run.classes[p.true],
                run.classes[p.predicted],
                "yes" if p.right else "no",
                *(f"{value:.3f}" for value in p.probabilities),
            )
        )
        for p in run.predictions
    )
    return Table("predictions", "Every clip", ("clip", "true", "predicted", "right", *run.classes), rows)


def gallery_figure(run: LoadedRun, chosen: Sequence[Prediction], pictures: Sequence[ClipPictures]) -> Any:
    """A row per clip: onset, dynamic image, a magnified frame, heat maps, probabilities."""
    titles = ["onset", "dynamic image", "magnified, middle"]
    if any(picture.image_heat is not None for picture in pictures):
        titles.append("Grad-CAM: image")
    if any(picture.motion_heat is not None for picture in pictures):
        titles.append("Grad-CAM: motion")
    made, axes = figure(1.55 * len(titles) + 3.2, 1.55 * len(chosen) + 0.3, columns=len(titles) + 1, rows=len(chosen))
    for row, (prediction, picture) in enumerate(zip(chosen, pictures, strict=True)):
        middle = picture.motion[len(picture.motion) // 2]
        shown: list[tuple[np.ndarray, np.ndarray | None]] = [
            (picture.motion[0], None),
            (picture.dynamic_image, None),
            (middle, None),
        ]
        shown += [(picture.dynamic_image, picture.image_heat)] if picture.image_heat is not None else []
        shown += [(middle, picture.motion_heat)] if picture.motion_heat is not None else []
        panels = np.atleast_2d(axes)[row]
        for panel, (image, heat), title in zip(panels, shown, titles, strict=False):
            show_picture(panel, image, heat)
            if row == 0:
                panel.set_title(title, fontsize=9)
        _probabilities(panels[-1], prediction, run.classes)
        if row == 0:
            panels[-1].set_title("probability", fontsize=9)
    return made


def _probabilities(panel: Any, prediction: Prediction, classes: Sequence[str]) -> None:
    colours = ["#BBBBBB"] * len(classes)
    colours[prediction.predicted] = CYCLE[2] if prediction.right else CYCLE[5]
    labels = [f"{name} (true)" if c == prediction.true else name for c, name in enumerate(classes)]
    panel.barh(labels, prediction.probabilities, color=colours)
    panel.set(xlim=(0, 1), xlabel="/".join(prediction.key[1:]))
    panel.xaxis.label.set_fontsize(8)
    panel.tick_params(labelsize=7)
    panel.invert_yaxis()
