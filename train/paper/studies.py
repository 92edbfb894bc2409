"""The paper's ablation tables as lists of runs: running them, and the table of what is printed beside what we found."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from data_cache.errors import InvalidFile, MptError, UsageError
from data_cache.files.atomic import write_json
from data_cache.read.reader import CacheReader
from train.paper.presets import PRESETS, ROWS, PaperRow
from train.results.metrics import METRICS, mean_pooled, with_interval
from train.results.run_folder import RunFolder
from train.results.summary import ENOUGH_SUBJECTS, interval_name
from train.results.tables import Row, Share, Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """A table of runs, by part of their folders' names; of the paper (SMIC, three classes), or ours without scores."""

    table: str
    about: str
    rows: Mapping[str, PaperRow]

    @property
    def is_papers(self) -> bool:
        """Whether the paper prints numbers beside which ours stand."""
        return any(row.accuracy is not None for row in self.rows.values())


def _rows(names: str) -> dict[str, PaperRow]:
    return {name: ROWS[name] for name in names.split()}


def _ours(label: str, preset: str = "mpt", **settings: Any) -> PaperRow:
    return PaperRow(label, {**PRESETS[preset].settings, **settings})


_COUNTS = "number of motion prompts (the figure prints numbers for 5 only)"
STUDIES = {
    "strategies": Study("VI", "learning strategies", _rows("scratch full head motion-prompt group-adapter mpt")),
    "prompts": Study("VII", "kinds of prompts", {"none": ROWS["group-adapter"], **_rows("vpt-shallow vpt-deep mpt")}),
    "num-prompts": Study("Fig. 5", _COUNTS, {"0": ROWS["group-adapter"], **_rows("1 3 5 7")}),
    "adapters": Study("VIII", "kinds of adapters", {"none": ROWS["motion-prompt"], **_rows("primitive mpt")}),
    "backbones": Study("IX", "backbones", _rows("vit-b16 vit-b32 clip-vit-b16 clip-vit-b32")),
    "alpha": Study(
        "X", "magnification factors; needs a cache for each", _rows("alpha0 alpha10 alpha20 alpha30 alpha50")
    ),
    "reduction": Study("XI", "reduction factors of the adapters", _rows("r4 r8 r12")),
    "variants": Study(
        "of variants",
        "what each part adds; not in the paper",
        {
            "mpt": _ours("MPT: motion prompts, group adapters"),
            "grid2": _ours("token grid 2", token_grid=2),
            "grid4": _ours("token grid 4", token_grid=4),
            "flat": _ours("no token activation", token_activation="none"),
            "flat-grid2": _ours("no token activation, token grid 2", token_activation="none", token_grid=2),
            "flat-grid4": _ours("no token activation, token grid 4", token_activation="none", token_grid=4),
            "cross": _ours("adapters with the other groups' means", adapter_mean="cross"),
            "primitive": _ours("primitive adapter", "primitive"),
            "motion-prompt": _ours("motion prompts without adapters", "motion-prompt"),
            "group-adapter": _ours("group adapters without prompts", "group-adapter"),
            "vpt-shallow": _ours("VPT-Shallow, 50 prompts, group adapters", "vpt-shallow", prompts=50),
            "vpt-deep": _ours("VPT-Deep, 50 prompts, group adapters", "vpt-deep"),
            "head": _ours("head alone", "head"),
            "full": _ours("full tuning", "full"),
            "still": _ours("onset frame, no prompts (control)", "still"),
        },
    ),
    "recipes": Study(
        "of recipes",
        "models on caches of several recipes; not in the paper",
        {
            "mpt": _ours("MPT"),
            "spatial": _ours("MPT, token grid 4", "mpt-spatial"),
            "group-adapter": _ours("group adapters, no prompts", "group-adapter"),
            "probe": _ours("probe (ridge)", "probe"),
            "still": _ours("onset frame (control)", "still"),
        },
    ),
}

RunRow = Callable[[PaperRow, Sequence[Path], Path, int], dict[str, Any] | None]
"""Trains one row from caches into a folder, as the n-th seed; its summary, or None while folds are missing."""


def run_study(name: str, caches: Sequence[Path], runs: Path, prefix: str, run_row: RunRow, seeds: int = 1) -> Path:
    """Run every row of a study that is not done yet, and write the index of where each is; its path.

    A row that cannot run (no weights, no cache of its α) is recorded with the reason; the others go on.
    The first seed of all rows comes before the second of any, so that a table is there early.
    `caches` are one, or one per α; `prefix` starts the names of the study's runs.
    """
    from train.device import leads  # torch, which a table does not need

    study = find_study(name)
    index = runs / f"{prefix}-{name}.json"
    entries: dict[str, dict[str, Any]] = {}
    for seed in range(seeds):
        for part, row in study.rows.items():
            suffix = f"-seed{seed}" if seeds > 1 else ""
            folder = runs / f"{prefix}-{name}-{part}{suffix}"
            entry = entries.setdefault(part, {"row": part, "runs": [], "missing": None})
            log.info(f"study {name}: {row.label}{suffix}")
            try:
                done = run_row(row, caches_for(row, caches), folder, seed) is not None
                entry["missing"] = None if done else "some folds are not trained yet"
                entry["runs"] += [folder.name] if done else []
            except MptError as error:
                log.info(f"  not run: {error}")
                entry["missing"] = str(error)
            if leads():
                write_json(index, {"study": name, "rows": list(entries.values())})
    return index


def study_table(name: str, runs: Path, prefix: str | None) -> tuple[Table, list[str]]:
    """The table of a study, and the rows that are not there with the reason.

    `prefix` starts the names of its runs; by default that of the only index there is, or of all for a study of ours.
    A UsageError if there is no such study, or no index or several to choose from; an InvalidFile if one is damaged.
    """
    study, rows, missing, done = find_study(name), [], [], []
    for data, entries in _indices(name, runs, prefix).items():
        for part, row in study.rows.items():
            entry = entries.get(part, {"missing": "never started", "runs": []})
            folders = [folder for folder in (RunFolder(runs / run) for run in entry["runs"]) if folder.is_finished]
            if not folders or entry["missing"] is not None:
                place = "" if study.is_papers else f"{data}, "
                missing.append(f"{place}{row.label}: {entry['missing'] or 'its run is not finished'}")
            if folders:
                done.append(folders)
            if study.is_papers:
                rows.append(Row(_cells(row, folders)))
            elif folders:
                rows.append(Row(_own_cells(data, row, folders)))
    protocols = {f"{each.config['protocol']}, {each.summary['clips']} clips" for folders in done for each in folders}
    seeds = sorted(map(len, done)) or [0]
    counts = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    ours = f"{'; '.join(sorted(protocols)) or 'nothing yet'}, final epoch, pooled; runs per row: {counts}."
    if study.is_papers:
        headings: tuple[str, ...] = ("", "paper Acc", "our Acc", "difference", "paper F1", "our F1", "difference")
        ours = f"Paper: SMIC, 3 classes, epoch choice not stated. Ours: {ours}"
    else:
        headings = ("data", "", "runs", "Acc", "UF1", "UAR", "Acc of each, %")
        fewest = min([ENOUGH_SUBJECTS, *(folders[0].summary["subjects"] for folders in done)])
        ours += f" Mean over runs and its {interval_name(fewest)}."
    return Table(f"study-{name}", f"Table {study.table}, {study.about}. {ours}", headings, tuple(rows)), missing


def _indices(name: str, runs: Path, prefix: str | None) -> dict[str, dict[str, Any]]:
    """Name of the data → what its index says of each row; all that there are, or that of `prefix`."""
    found: dict[str, dict[str, Any]] = {}
    for path in runs.glob(f"*-{name}.json"):
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            if index["study"] == name:  # one of "num-prompts" is no index of "prompts"
                found[path.name.removesuffix(f"-{name}.json")] = {entry["row"]: entry for entry in index["rows"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidFile(f"{path} is no index of a study ({error}); run mpt-train --study {name} again") from error
    chosen = {data: found[data] for data in sorted(found) if prefix in (None, data)}
    if not chosen or (len(chosen) > 1 and find_study(name).is_papers):
        names = ", ".join(sorted(found)) or "none"
        again = f"run mpt-train --study {name}, or choose one with --name"
        raise UsageError(f"studies {name!r} in {runs}: {names}; {again}")
    return chosen


def find_study(name: str) -> Study:
    """The study called `name`; raises UsageError where there is none."""
    if name not in STUDIES:
        raise UsageError(f"no study {name!r}; choose one of {', '.join(STUDIES)}")
    return STUDIES[name]


def caches_for(row: PaperRow, caches: Sequence[Path]) -> list[Path]:
    """Those of `caches` that a row is trained on; a UsageError if there is none of its α."""
    if row.alpha is None:
        if len(caches) > 1 and len({CacheReader(cache).attributes.dataset for cache in caches}) < len(caches):
            raise UsageError("several caches of one data set were given; only --study alpha takes them")
        return list(caches)
    fitting = [cache for cache in caches if CacheReader(cache).attributes.stored_recipe.alpha == row.alpha]
    if not fitting:
        raise UsageError(f"no cache given has alpha {row.alpha:g}; make one: mpt-preprocess … --alpha {row.alpha:g}")
    return fitting


def _own_cells(data: str, row: PaperRow, folders: Sequence[RunFolder]) -> tuple[str | int | Share, ...]:
    """Of finished runs that differ in the seed: the mean and its interval over subjects, and each."""
    matrices = np.stack([folder.load().subject_matrices for folder in folders], 1)  # (subjects, runs, classes, classes)
    found = with_interval(matrices, mean_pooled)
    each = ", ".join(f"{100 * folder.summary['final_epoch']['accuracy']:.1f}" for folder in folders)
    return (data, row.label, len(folders), *(Share(found[m], found["interval_95"][m]) for m in METRICS), each)


def _cells(row: PaperRow, folders: Sequence[RunFolder]) -> tuple[str, ...]:
    """The paper's accuracy and F1 in per cent, the mean and deviation of ours, and the difference."""
    cells = [row.label]
    for printed, metric in ((row.accuracy, "accuracy"), (row.f1, "macro_f1")):
        ours = [100 * folder.summary["final_epoch"][metric] for folder in folders]
        spread = f" ± {stdev(ours):.2f}" if len(ours) > 1 else ""
        cells += ["–" if printed is None else f"{printed:.2f}", f"{mean(ours):.2f}{spread}" if ours else "–"]
        cells.append("–" if printed is None or not ours else f"{mean(ours) - printed:+.2f}")
    return tuple(cells)
