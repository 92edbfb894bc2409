"""A study's table: what the paper prints, what we found, and the difference, side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from data_cache.errors import InvalidFile, UsageError
from train.paper.studies import StudyRow, find_study
from train.results.run_folder import RunFolder
from train.results.tables import Row, Table


def study_table(name: str, runs: Path, prefix: str | None) -> tuple[Table, list[str]]:
    """The table of a study, and the rows that are not there with the reason.

    Args:
        name: of the study.
        runs: folder of all runs.
        prefix: start of the names of the study's runs; by default that of the only index there is.

    Raises:
        UsageError: there is no such study, or no index or several to choose from.
        InvalidFile: the index is damaged.
    """
    study = find_study(name)
    index = _index(name, runs, prefix)
    try:
        entries = {entry["row"]: entry for entry in json.loads(index.read_text())["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidFile(f"{index} is no index of a study ({error}); run mpt-train --study {name} again") from error
    rows, missing, protocols, seeds = [], [], set(), set()
    for row in study.rows:
        entry = entries.get(row.name, {"missing": "never started", "runs": []})
        folders = [folder for folder in (RunFolder(runs / run) for run in entry["runs"]) if folder.is_finished]
        if not folders or entry["missing"] is not None:
            missing.append(f"{row.label}: {entry['missing'] or 'its run is not finished'}")
        protocols |= {f"{folder.config['protocol']}, {folder.summary['clips']} clips" for folder in folders}
        seeds.add(len(folders))
        found = [folder.summary["final_epoch"] for folder in folders]
        rows.append(Row(_cells(row, [100 * f["accuracy"] for f in found], [100 * f["macro_f1"] for f in found])))
    seeds.discard(0)
    counts = " to ".join(str(count) for count in sorted({min(seeds), max(seeds)})) if seeds else "0"
    caption = (
        f"Table {study.table}, {study.about}. Paper: SMIC, 3 classes, epoch choice not stated. "
        f"Ours: {'; '.join(sorted(protocols)) or 'nothing yet'}, final epoch, pooled; runs per row: {counts}."
    )
    headings = ("", "paper Acc", "our Acc", "difference", "paper F1", "our F1", "difference")
    return Table(f"study-{name}", caption, headings, tuple(rows)), missing


def _index(name: str, runs: Path, prefix: str | None) -> Path:
    if prefix is not None:
        index = runs / f"{prefix}-{name}.json"
        if not index.is_file():
            raise UsageError(f"no {index}; run mpt-train --study {name} --name {prefix} first")
        return index
    found = sorted(runs.glob(f"*-{name}.json"))
    if len(found) != 1:
        names = ", ".join(path.name.removesuffix(f"-{name}.json") for path in found) or "none"
        raise UsageError(
            f"studies {name!r} in {runs}: {names}; run mpt-train --study {name}, or choose one with --name"
        )
    return found[0]


def _cells(row: StudyRow, accuracy: Sequence[float], f1: Sequence[float]) -> tuple[str, ...]:
    def triple(printed: float | None, ours: Sequence[float]) -> tuple[str, str, str]:
        difference = "–" if printed is None or not ours else f"{mean(ours) - printed:+.2f}"
        spread = f" ± {stdev(ours):.2f}" if len(ours) > 1 else ""
        return ("–" if printed is None else f"{printed:.2f}", f"{mean(ours):.2f}{spread}" if ours else "–", difference)

    return (row.label, *triple(row.accuracy, accuracy), *triple(row.f1, f1))
