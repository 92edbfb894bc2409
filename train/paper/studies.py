"""The paper's ablation tables as lists of runs: what each row is, what the paper prints, what we found."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_cache.errors import MptError, UsageError
from data_cache.files.atomic import write_json
from data_cache.read.reader import CacheReader
from train.cost.accounting import TABLE_IX

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyRow:
    """One row of a table.

    Attributes:
        name: part of the run's folder.
        label: the row's name in the paper.
        settings: what it changes against the paper's model.
        accuracy: printed in the paper, in percent; None where only a figure shows it.
        f1: likewise.
        alpha: the magnification that its cache must have.
    """

    name: str
    label: str
    settings: dict[str, Any] = field(default_factory=dict)
    accuracy: float | None = None
    f1: float | None = None
    alpha: float | None = None


@dataclass(frozen=True)
class Study:
    """A table of runs. Those of the paper were measured on SMIC, three classes; "variants" is ours."""

    table: str
    about: str
    rows: tuple[StudyRow, ...]


_NOTHING = {"prompt": "none", "adapter": "none"}
_FULL = {**_NOTHING, "tuning": "full"}
_MPT = (86.59, 86.01)
_FLAT = {"token_activation": "none"}
STUDIES = {
    "strategies": Study(
        "VI",
        "learning strategies",
        (
            StudyRow("scratch", "w/o pretraining", {**_FULL, "random_weights": True, "weights": None}, 73.17, 72.35),
            StudyRow("full", "full fine-tuning", _FULL, 77.44, 76.65),
            StudyRow("head", "partial fine-tuning", _NOTHING, 71.95, 70.27),
            StudyRow("motion-prompt", "motion prompt", {"adapter": "none"}, 82.92, 82.33),
            StudyRow("group-adapter", "group adapter", {"prompt": "none"}, 79.27, 78.43),
            StudyRow("mpt", "MPT", {}, *_MPT),
        ),
    ),
    "prompts": Study(
        "VII",
        "kinds of prompts",
        (
            StudyRow("none", "w/o prompt", {"prompt": "none"}, 79.27, 78.43),
            StudyRow("vpt-shallow", "VPT-Shallow", {"prompt": "shallow", "prompts": 200}, 81.10, 80.84),
            StudyRow("vpt-deep", "VPT-Deep", {"prompt": "deep", "prompts": 50}, 82.32, 81.79),
            StudyRow("mpt", "MPT", {}, *_MPT),
        ),
    ),
    "num-prompts": Study(
        "Fig. 5",
        "number of motion prompts (the figure prints numbers for 5 only)",
        (
            StudyRow("0", "no motion prompt", {"prompt": "none"}, 79.27, 78.43),
            *(StudyRow(str(m), f"{m} prompts", {"prompts": m}, *(_MPT if m == 5 else ())) for m in (1, 3, 5, 7)),
        ),
    ),
    "adapters": Study(
        "VIII",
        "kinds of adapters",
        (
            StudyRow("none", "MPT w/o adapter", {"adapter": "none"}, 82.92, 82.33),
            StudyRow("primitive", "primitive adapter", {"adapter": "primitive"}, 84.15, 83.56),
            StudyRow("mpt", "MPT", {}, *_MPT),
        ),
    ),
    "backbones": Study(
        "IX",
        "backbones",
        tuple(
            StudyRow(label.lower().replace("/", ""), label, {"backbone": name}, accuracy, f1)
            for (label, name), (accuracy, f1) in zip(
                TABLE_IX.items(), (_MPT, (84.76, 83.95), (85.37, 84.64), (83.54, 82.56)), strict=True
            )
        ),
    ),
    "alpha": Study(
        "X",
        "magnification factors; needs a cache for each",
        tuple(
            StudyRow(f"alpha{alpha}", f"α = {alpha}", {}, accuracy, f1, alpha=float(alpha))
            for alpha, accuracy, f1 in (
                (0, 81.10, 80.54),
                (10, 85.37, 84.79),
                (20, *_MPT),
                (30, 81.70, 81.44),
                (50, 78.05, 77.56),
            )
        ),
    ),
    "reduction": Study(
        "XI",
        "reduction factors of the adapters",
        tuple(
            StudyRow(f"r{r}", f"r = {r}", {"reduction": r}, accuracy, f1)
            for r, accuracy, f1 in ((4, 85.98, 85.32), (8, *_MPT), (12, 84.76, 84.05))
        ),
    ),
    "variants": Study(
        "of variants",
        "what each part adds; not in the paper",
        (
            StudyRow("mpt", "MPT: motion prompts, group adapters"),
            StudyRow("grid2", "token grid 2", {"token_grid": 2}),
            StudyRow("grid4", "token grid 4", {"token_grid": 4}),
            StudyRow("flat", "no token activation", _FLAT),
            StudyRow("flat-grid2", "no token activation, token grid 2", {**_FLAT, "token_grid": 2}),
            StudyRow("flat-grid4", "no token activation, token grid 4", {**_FLAT, "token_grid": 4}),
            StudyRow("cross", "adapters with the other groups' means", {"adapter_mean": "cross"}),
            StudyRow("primitive", "primitive adapter", {"adapter": "primitive"}),
            StudyRow("motion-prompt", "motion prompts without adapters", {"adapter": "none"}),
            StudyRow("group-adapter", "group adapters without prompts", {"prompt": "none"}),
            StudyRow("vpt-shallow", "VPT-Shallow, 50 prompts, group adapters", {"prompt": "shallow", "prompts": 50}),
            StudyRow("vpt-deep", "VPT-Deep, 50 prompts, group adapters", {"prompt": "deep", "prompts": 50}),
            StudyRow("head", "head alone", _NOTHING),
            StudyRow("full", "full tuning", _FULL),
            StudyRow("still", "onset frame, no prompts (control)", {"prompt": "none", "image": "onset"}),
        ),
    ),
}

RunRow = Callable[[StudyRow, Sequence[Path], Path, int], dict[str, Any] | None]
"""Trains one row from caches into a folder, as the n-th seed; its summary, or None while folds are missing."""


def run_study(name: str, caches: Sequence[Path], runs: Path, prefix: str, run_row: RunRow, seeds: int = 1) -> Path:
    """Run every row of a study that is not done yet, and write an index of where each is.

    A row that cannot run (no weights, no cache of its α) is recorded with the reason; the others go on.
    The first seed of all rows comes before the second of any, so that a table is there early.

    Args:
        name: of the study.
        caches: one, or one per α.
        runs: folder of all runs.
        prefix: start of the names of the study's runs.
        run_row: does the work.
        seeds: runs per row.

    Returns:
        The index: a JSON file with an entry per row.

    Raises:
        UsageError: no such study.
    """
    from train.ranks import leads

    study = find_study(name)
    index = runs / f"{prefix}-{name}.json"
    entries: dict[str, dict[str, Any]] = {}
    for seed in range(seeds):
        for row in study.rows:
            suffix = f"-seed{seed}" if seeds > 1 else ""
            folder = runs / f"{prefix}-{name}-{row.name}{suffix}"
            entry = entries.setdefault(row.name, {"row": row.name, "runs": [], "missing": None})
            log.info(f"study {name}: {row.label}{suffix}")
            try:
                done = run_row(row, _caches_for(row, caches), folder, seed) is not None
                entry["missing"] = None if done else "some folds are not trained yet"
                entry["runs"] += [folder.name] if done else []
            except MptError as error:
                log.info(f"  not run: {error}")
                entry["missing"] = str(error)
            if leads():
                write_json(index, {"study": name, "rows": list(entries.values())})
    return index


def find_study(name: str) -> Study:
    """The study called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in STUDIES:
        raise UsageError(f"no study {name!r}; choose one of {', '.join(STUDIES)}")
    return STUDIES[name]


def _caches_for(row: StudyRow, caches: Sequence[Path]) -> list[Path]:
    if row.alpha is None:
        if len(caches) > 1 and len({CacheReader(cache).attributes.dataset for cache in caches}) < len(caches):
            raise UsageError("several caches of one data set were given; only --study alpha takes them")
        return list(caches)
    fitting = [cache for cache in caches if CacheReader(cache).attributes.recipe.get("alpha") == row.alpha]
    if not fitting:
        raise UsageError(
            f"no cache with alpha {row.alpha:g} was given; make it with mpt-preprocess … --alpha {row.alpha:g}"
        )
    return fitting
