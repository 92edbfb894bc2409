"""From what a user types to clips: the data set by its name, or a manifest by its path."""

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

from data_cache.errors import UsageError
from preprocess.datasets.base import Adapter, Discovery
from preprocess.datasets.casme2 import casme2
from preprocess.datasets.demo import demo
from preprocess.datasets.samm import samm
from preprocess.datasets.smic import Camera, smic


class DataSet(NamedTuple):
    """An entry of the table of data sets: its adapter, and what its folder holds, for the help."""

    adapter: Adapter
    about: str


ADAPTERS: dict[str, DataSet] = {
    "casme2": DataSet(casme2, "CASME II: Cropped (or CASME2_RAW_selected) and its coding sheet."),
    "samm": DataSet(samm, "SAMM: the scenes as delivered (or your crops) and SAMM_Micro_FACS_Codes_v2.xlsx."),
    "smic": DataSet(smic, "SMIC: SMIC_all_cropped, SMIC_all_raw, or HS_long and its annotation sheet."),
    "demo": DataSet(demo, "A synthetic set in the layout of CASME II."),
}
"""The data sets by name: the one place where a new one is entered."""


def find(name: str, root: Path | None = None, *, camera: str = "hs", corrected: bool = True) -> Discovery:
    """The clips of a data set.

    Args:
        name: casme2, samm, smic or demo, or the path of a manifest (.csv).
        root: its folder; by default $MPT_<SET>, else datasets/<set>.
        camera: of SMIC: hs, vis or nir.
        corrected: whether known corrections of the annotation are applied.

    Raises:
        UsageError: no such data set or camera, or it is not where it was looked for.
    """
    if name.lower().endswith(".csv"):
        from preprocess.datasets.manifest import manifest  # with OpenCV, for videos

        return manifest(Path(name))
    if name not in ADAPTERS:
        raise UsageError(f"no data set {name!r}; choose one of {', '.join(ADAPTERS)}, or name a manifest (FILE.csv)")
    if camera not in get_args(Camera):
        raise UsageError(f"no camera {camera!r}; SMIC has {', '.join(get_args(Camera))}")
    adapter = partial(smic, camera=camera) if name == "smic" else ADAPTERS[name].adapter  # type: ignore[arg-type]
    return adapter(dataset_root(name, root), corrected=corrected)


def dataset_root(dataset: str, root: Path | None) -> Path:
    """Where a data set is: `root`, else the environment variable MPT_<SET>, else ./datasets/<set>."""
    return root or Path(os.environ.get(f"MPT_{dataset.upper()}") or Path("datasets") / dataset)
