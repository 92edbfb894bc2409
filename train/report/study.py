"""A study's table: what the paper prints, what we found, and the difference, side by side."""

import json
from pathlib import Path

from data_cache.errors import InvalidFile, UsageError
from train.report.tables import Row, Table
from train.runs import RunFolder
from train.studies import StudyRow, find_study


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
    rows, missing, protocols = [], [], set()
    for row in study.rows:
        entry = entries.get(row.name, {"missing": "never started", "run": ""})
        folder = RunFolder(runs / entry["run"])
        if entry["missing"] is None and folder.is_finished:
            protocols.add(f"{folder.config['protocol']}, {folder.summary['clips']} clips")
            found = folder.summary["final_epoch"]
            rows.append(Row(_cells(row, 100 * found["accuracy"], 100 * found["macro_f1"])))
        else:
            missing.append(f"{row.label}: {entry['missing'] or 'its run is not finished'}")
            rows.append(Row(_cells(row, None, None)))
    caption = (
        f"Table {study.table}, {study.about}. Paper: SMIC, 3 classes, epoch choice not stated. "
        f"Ours: {'; '.join(sorted(protocols)) or 'nothing yet'}, final epoch, pooled."
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


def _cells(row: StudyRow, accuracy: float | None, f1: float | None) -> tuple[str, ...]:
    def pair(printed: float | None, ours: float | None) -> tuple[str, str, str]:
        difference = "–" if printed is None or ours is None else f"{ours - printed:+.2f}"
        return ("–" if printed is None else f"{printed:.2f}", "–" if ours is None else f"{ours:.2f}", difference)

    return (row.label, *pair(row.accuracy, accuracy), *pair(row.f1, f1))
