"""Single clips: what the model saw, what it predicted, and where the evidence lay (Fig. 7 and 8 of the paper)."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_cache.console.commandline import progress
from data_cache.errors import MptError
from data_cache.explore.charts import Bar, bars, open_clip
from data_cache.explore.clips import entries
from data_cache.explore.page import Chart, Section
from data_cache.protocols.protocol import ClipKey
from data_cache.read.reader import CacheReader
from data_cache.read.validate import require_valid
from train.report.figures import clips_figure, paper_style, pictures_of, save
from train.results.metrics import Prediction
from train.results.run_folder import Run, RunFolder
from train.results.tables import Row, Table

if TYPE_CHECKING:  # torch, which a report without pictures does not need
    from train.data.task import ClipSet

log = logging.getLogger(__name__)

MOST_MAPS = 500
"""So many clips of a page have Grad-CAM maps: with a ViT-B, each takes a second or two on a CPU."""
_MODELS = 8  # in memory at a time


def find_caches(run: Run, given: Sequence[Path]) -> list[Path]:
    """The caches of a run: those given, or those where it was trained, if they are still the same.

    Of several recipes of a data set, the first.
    """
    datasets = {cache["content_digest"]: cache["dataset"] for cache in run.config["caches"]}
    found: list[tuple[str, Path]] = []
    for path in given or [Path(name) for name in run.environment.get("caches", [])]:
        if path.exists() and (content := _content(path)) in datasets:
            found.append((datasets[content], path))
        elif given:
            log.info(f"note: {path} is not a cache of this run; no pictures are taken from it")
    return list(dict(reversed(found)).values())[::-1] if len(found) == len(datasets) else []


def _content(path: Path) -> str:
    with CacheReader(path) as reader:
        require_valid(reader, pixels=False)
        return reader.content_digest


def clip_entries(
    runs: Sequence[Run], caches: Sequence[Path], folder: Path, *, images: bool, single_file: bool
) -> list[dict[str, Any]]:
    """The tested clips as the page shows them (see `data_cache.explore.clips.entries`), with what the runs predict.

    Probabilities and kernels are those of the first run; without its caches only predictions are known.
    """
    run, found = runs[0], []
    if not caches:
        found = [{"dataset": p.key[0], "subject": p.key[1], "clip": p.key[2]} for p in run.predictions]
    for path in caches:
        with CacheReader(path) as reader:
            made = entries(reader, folder, images=images, single_file=single_file, first=len(found))
            found += [entry | {"dataset": reader.attributes.dataset} for entry in made]
    several = len({entry["dataset"] for entry in found}) > 1
    tested = [{p.key: p for p in each.predictions} for each in runs]
    traces = {
        key: {name: fold.traces[name][row].tolist() for name in ("mu", "sigma")}
        for fold in run.folds
        for row, key in enumerate(fold.keys)
        if {"mu", "sigma"} <= set(fold.traces)
    }
    shown = []
    for entry in found:
        key = entry.pop("dataset"), entry["subject"], entry["clip"]
        if key not in tested[0]:  # of a class that the protocol leaves out
            continue
        guesses = [each.get(key) for each in tested]
        names = [other.classes[guess.predicted] if guess else "" for other, guess in zip(runs, guesses, strict=True)]
        truth = tested[0][key].true or 0
        shown.append(
            entry
            | {"key": "/".join(key if several else key[1:]), "label": run.classes[truth], "truth": truth}
            | {"predicted": [run.classes.index(name) if name else -1 for name in names]}
            | {"probabilities": tested[0][key].probabilities.round(4).tolist(), **traces.get(key, {})}
        )
    return shown


def gallery_section(run: Run, folder: Path, caches: Sequence[Path], shown: Sequence[dict[str, Any]]) -> Section:
    """The most telling clips, with links to them; a figure and Grad-CAM where the caches are at hand.

    Grad-CAM maps are added to what is `shown` of these clips, and of others up to MOST_MAPS.
    """
    texts = ["For each class the most confident correct prediction, and the most confident wrong one."]
    chosen, known, name = choose_clips(run), {entry["key"]: entry for entry in shown}, ""

    def entry_of(prediction: Prediction) -> dict[str, Any]:
        return known.get("/".join(prediction.key[1:])) or known["/".join(prediction.key)]

    if caches:
        from train.data.task import open_clips

        clips = open_clips(caches)
        asked = {p.key: p for p in (*chosen, *run.predictions)}  # the chosen ones first
        maps = grad_cam(run, clips, list(asked.values())[:MOST_MAPS])
        pictures = pictures_of(clips, chosen, [maps.get(p.key, {}) for p in chosen])
        with paper_style("page"):  # too wide for a column
            name = save(clips_figure(chosen, pictures, run.classes), folder, "gallery")
        for key, each in maps.items():
            entry_of(asked[key])["heat"] = {part: _as_bytes(values) for part, values in each.items()}
        if pictures and "for the eye" in pictures[0]:
            texts.append(
                "The middle frame is drawn twice: as the network sees it, and magnified for the eye: in luminance and "
                "middle scales, by the α written there, at which less than 1 % of the values clip."
            )
        texts.append(
            "Grad-CAM (a layer over moving clips) on the image tokens shows where in the image the evidence for the "
            "prediction lies; on the motion patches, where in the magnified frames. Each is scaled to its own maximum."
        )
    else:
        texts.append("The caches of this run are not at hand, or --no-images was given: no pictures of clips.")
    rows = []
    for p in chosen:
        key, sure = entry_of(p)["key"], float(p.probabilities.max())
        words = f"{sure:.0%} {run.classes[p.predicted]}, {'correct' if p.correct else 'wrong'}"
        rows.append(Bar(key, [sure], [words], open_clip(key)))
    chart = Chart(bars(rows), "Confidence of these predictions. A click shows the clip.", name)
    return Section("gallery", "Gallery", texts, [chart])


def _as_bytes(values: np.ndarray) -> tuple[int, int, str]:
    """A map as rows, columns and 8 bits per cell, scaled to its maximum."""
    scaled = np.rint(255 * values / max(float(values.max()), 1e-12)).astype(np.uint8)
    return (*values.shape, base64.b64encode(scaled.tobytes()).decode())


def grad_cam(run: Run, clips: ClipSet, predictions: Sequence[Prediction]) -> dict[ClipKey, dict[str, np.ndarray]]:
    """Grad-CAM maps of tested clips by the models that left them out; none where these cannot be loaded."""
    from train.device import choose_device
    from train.results.checkpoint import load_trained
    from train.trace import clip_maps

    found: dict[ClipKey, dict[str, np.ndarray]] = {}
    names = sorted({name for prediction in predictions for name in prediction.models})
    try:
        with progress("Grad-CAM", len(predictions), "clips") as advance:
            for start in range(0, len(names), _MODELS):
                group = names[start : start + _MODELS]
                trained = load_trained(RunFolder(run.path), group, choose_device("auto"))
                theirs = [p for p in predictions if p.models[0] in group]
                found |= zip((p.key for p in theirs), clip_maps(trained, clips, theirs), strict=True)
                advance(len(theirs), "")
    except MptError as error:
        log.info(f"note: no Grad-CAM maps: {error}")
        return {}
    return found


def choose_clips(run: Run) -> list[Prediction]:
    """Per class, the most confident correct prediction and the most confident wrong one."""
    chosen: list[Prediction] = []
    for number in range(len(run.classes)):
        for correct in (True, False):
            fitting = [p for p in run.predictions if p.true == number and p.correct == correct]
            chosen += sorted(fitting, key=lambda p: -float(p.probabilities.max()))[:1]
    return chosen[:12]


def predictions_table(run: Run) -> Table:
    """Every tested clip with its probabilities."""
    rows = []
    for p in run.predictions:
        named = "/".join(p.key), run.classes[p.true or 0], run.classes[p.predicted], "yes" if p.correct else "no"
        rows.append(Row((*named, *(round(float(value), 4) for value in p.probabilities))))
    return Table("predictions", "Every clip", ("clip", "true", "predicted", "correct", *run.classes), tuple(rows))
