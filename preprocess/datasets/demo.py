"""The demo set: laid out as CASME II, so the adapter of CASME II reads it; only name and notice differ."""

from pathlib import Path

from preprocess.datasets.base import Discovery
from preprocess.datasets.casme2 import CASME2

SYNTHETIC_NOTICE = (
    "Synthetic: every face in this file was drawn by mpt-preprocess demo; no person is shown. MIT licence."
)


def demo(root: Path, *, corrected: bool = True) -> Discovery:
    """An `Adapter` for a generated demo set."""
    found = CASME2.find("demo", root, corrected)
    found.licence_notice = SYNTHETIC_NOTICE
    return found
