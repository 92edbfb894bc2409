"""Single clips: what the model saw, what it answered, and where the evidence lay (Fig. 7 and 8 of the paper)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.report.heat import pictures_of
from train.report.loaded import LoadedRun, Prediction
from train.report.page import Picture, Section
from train.report.pictures import ClipPictures, draw_panels
from train.report.style import CYCLE, figure, save
from train.results.tables import Row, Table


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
    columns = len(pictures[0].panels) + 1
    made, axes = figure(1.55 * (columns - 1) + 3.2, 1.55 * len(chosen) + 0.3, columns=columns, rows=len(chosen))
    for number, (row, prediction, picture) in enumerate(zip(np.atleast_2d(axes), chosen, pictures, strict=True)):
        draw_panels(row[:-1], picture.panels, titles=number == 0)
        _probabilities(row[-1], prediction, run.classes)
    np.atleast_2d(axes)[0, -1].set_title("probability", fontsize=9)
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
