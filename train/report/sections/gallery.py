"""Single clips: what the model saw, what it predicted, and where the evidence lay (Fig. 7 and 8 of the paper)."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.errors import MptError
from data_cache.read.reader import CacheReader
from train.report.page import CYCLE, Picture, Section, figure, save
from train.report.pictures import ClipPictures, draw_panels, draw_probabilities, pictures_of
from train.results.metrics import Prediction
from train.results.run_folder import Run, RunFolder
from train.results.tables import Row, Table

log = logging.getLogger(__name__)


def find_caches(run: Run, given: Sequence[Path]) -> list[Path]:
    """The caches of a run: those given, or those where it was trained, if they are still the same."""
    wanted = {cache["content_digest"] for cache in run.config["caches"]}
    found = []
    for path in given or [Path(name) for name in run.environment.get("caches", [])]:
        if path.exists() and CacheReader(path).content_digest in wanted:
            found.append(path)
        elif given:
            log.info(f"note: {path} is not a cache of this run; no pictures are taken from it")
    return found if len(found) == len(wanted) else []


def gallery_section(run: Run, folder: Path, caches: Sequence[Path]) -> Section:
    """A table of all predictions; pictures of some clips where the caches are at hand."""
    section = Section("clips", "Clips", tables=[predictions_table(run)])
    if not caches:
        section.texts.append("The caches of this run are not at hand, or --no-images was given: no pictures of clips.")
        return section
    chosen = choose_clips(run)
    pictures = clip_pictures(run, chosen, caches)
    section.texts.append(
        "For each class the most confident correct prediction, and the most confident wrong one. "
        "Grad-CAM on the image tokens shows where in the image the evidence for the prediction lies; on the motion "
        "patches, where in the magnified frames. Both are relative: each is scaled to its own maximum."
    )
    predicted = "; ".join(f"{'/'.join(p.key)}: {run.classes[p.predicted]} {p.probabilities.max():.0%}" for p in chosen)
    source = save(gallery_figure(run, chosen, pictures), folder, "gallery")
    section.pictures.append(
        Picture(source, f"{len(chosen)} clips and their predictions. {predicted}", "Green: correct. Orange: wrong.")
    )
    return section


def clip_pictures(run: Run, chosen: Sequence[Prediction], caches: Sequence[Path]) -> list[ClipPictures]:
    """Pixels of the chosen clips, with Grad-CAM maps by the models that left them out, where these can be loaded."""
    import torch

    from train.data.clips import open_clips
    from train.results.checkpoint import load_trained

    clips = open_clips(caches)
    try:
        names = sorted({name for prediction in chosen for name in prediction.models})
        return pictures_of(load_trained(RunFolder(run.path), names, torch.device("cpu")), clips, chosen)
    except MptError as error:
        log.info(f"note: no Grad-CAM maps: {error}")
        return pictures_of(None, clips, chosen)


def choose_clips(run: Run, most: int = 12) -> list[Prediction]:
    """Per class, the most confident correct prediction and the most confident wrong one."""
    chosen: list[Prediction] = []
    for number in range(len(run.classes)):
        for correct in (True, False):
            fitting = [p for p in run.predictions if p.true == number and p.correct == correct]
            chosen += sorted(fitting, key=lambda p: -float(p.probabilities.max()))[:1]
    return chosen[:most]


def predictions_table(run: Run) -> Table:
    """Every tested clip with its probabilities."""
    rows = tuple(
        Row(
            (
                "/".join(p.key),
                run.classes[true],
                run.classes[p.predicted],
                "yes" if p.correct else "no",
                *(f"{value:.3f}" for value in p.probabilities),
            )
        )
        for p in run.predictions
        for true in [p.true]
        if true is not None
    )
    return Table("predictions", "Every clip", ("clip", "true", "predicted", "correct", *run.classes), rows)


def gallery_figure(run: Run, chosen: Sequence[Prediction], pictures: Sequence[ClipPictures]) -> Any:
    """A row per clip: onset, dynamic image, a magnified frame, Grad-CAM maps, probabilities."""
    columns = len(pictures[0].panels) + 1
    made, axes = figure(1.55 * (columns - 1) + 3.2, 1.55 * len(chosen) + 0.3, columns=columns, rows=len(chosen))
    for number, (row, prediction, picture) in enumerate(zip(np.atleast_2d(axes), chosen, pictures, strict=True)):
        draw_panels(row[:-1], picture, titles=number == 0)
        draw_probabilities(row[-1], prediction, run.classes, CYCLE[2] if prediction.correct else CYCLE[5])
        row[-1].set_xlabel("/".join(prediction.key[1:]), fontsize=8)
        row[-1].tick_params(labelsize=7)
    np.atleast_2d(axes)[0, -1].set_title("probability", fontsize=9)
    return made
