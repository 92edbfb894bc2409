"""From what a user types to clips: the data set by its name, or a manifest by its path."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

from data_cache.errors import MptError, UsageError
from preprocess.datasets.base import Adapter, Discovery, environment_name
from preprocess.datasets.casme2 import casme2, demo
from preprocess.datasets.casme3 import casme3
from preprocess.datasets.casme_sq import casme_sq
from preprocess.datasets.dfme import dfme
from preprocess.datasets.samm import samm
from preprocess.datasets.smic import smic


class DataSet(NamedTuple):
    """An entry of the table of data sets: its adapter, and what its folder holds, for the help."""

    adapter: Adapter
    about: str


ADAPTERS: dict[str, DataSet] = {
    "casme2": DataSet(casme2, "CASME II: Cropped (or CASME2_RAW_selected) and its coding sheet."),
    "samm": DataSet(samm, "SAMM: the scenes as delivered (or your crops) and SAMM_Micro_FACS_Codes_v2.xlsx."),
    "smic": DataSet(smic, "SMIC: SMIC_all_cropped, SMIC_all_raw, or HS_long and its annotation sheet."),
    "casme3": DataSet(casme3, "CAS(ME)³: part A (videos or clips) or part C, and its sheet."),
    "casme-sq": DataSet(casme_sq, "CAS(ME)²: cropped, selectedpic or rawpic, and CAS(ME)^2code_final.xlsx."),
    "dfme": DataSet(dfme, "DFME: train_data, test_data_A, test_data_B and their sheets."),
    "demo": DataSet(demo, "A synthetic set in the layout of CASME II."),
}
"""The data sets by name: the one place where a new one is entered."""


def find(name: str, root: Path | None = None, *, corrected: bool = True, **choices: Any) -> Discovery:
    """The clips of a data set.

    Args:
        name: a data set of `ADAPTERS`, or the path of a manifest (.csv, .tsv or .txt).
        root: its folder; by default $MPT_<SET>, else datasets/<set>.
        corrected: whether known corrections of the annotation are applied.
        choices: what only some data sets offer (`sheet`, `camera`, `part`, `supplement`; `fps` of a manifest); None
            for the usual.

    A `UsageError` where there is no such data set, it does not offer a choice, or is not where it was looked for.
    """
    if Path(name).suffix.lower() in (".csv", ".tsv", ".txt"):
        from preprocess.datasets.manifest import manifest  # with OpenCV, for videos

        adapter: Callable[..., Discovery] = partial(manifest, Path(name))
    elif name in ADAPTERS:
        adapter = partial(ADAPTERS[name].adapter, dataset_root(name, root), corrected=corrected)
    else:
        raise UsageError(f"no data set {name!r}; choose one of {', '.join(ADAPTERS)}, or name a manifest (FILE.csv)")
    given = {choice: value for choice, value in choices.items() if value is not None}
    for choice in given:
        if choice not in signature(adapter).parameters:
            raise UsageError(f"--{choice} is no option of {name}")
    return adapter(**given)


def present() -> Iterator[tuple[str, str]]:
    """The data sets that have a folder: name, and the folder with what was found there, for `mpt status`."""
    for name in ADAPTERS:
        root = dataset_root(name, None)
        if root.is_dir():
            try:
                found = find(name)
                lost = f", {len(found.failures)} cannot be used (mpt preprocess check {name})" if found.failures else ""
                yield name, f"{root}: {len(found.clips)} clips{lost}"
            except (MptError, OSError) as error:
                yield name, f"{root}: {error}"


def dataset_root(dataset: str, root: Path | None) -> Path:
    """Where a data set is: `root`, else the environment variable MPT_<SET>, else ./datasets/<set>."""
    return root or Path(os.environ.get(environment_name(dataset)) or Path("datasets") / dataset)
