"""What every data set becomes: a list of clips, each with its frames, its annotation and its name.

An adapter finds the files of one data set and yields `Clip`s. It reads sheets and folder listings,
never pixels.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from data_cache.errors import UsageError
from preprocess.clip import Clip

BOX_FILE = "face_boxes.csv"
"""Boxes of faces, looked for in the data set's folder when no other file is named."""
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"})

LICENCE_NOTICE = (
    "This file contains face images derived from the data set {dataset}. It is covered by the licence agreement that "
    "your laboratory signed for that data set: share it only with people whom that agreement covers."
)


@dataclass(frozen=True)
class Anomaly:
    """Something that an adapter noticed and went on from.

    Attributes:
        key: the clip, subject or folder concerned.
        kind: a few words that name the sort of anomaly; `action` says what is done about it.
        unexpected: whether it is absent from the official release as documented, so that `check` fails.
    """

    key: str
    kind: str
    found: str
    action: str
    unexpected: bool = False


@dataclass
class Discovery:
    """What an adapter found.

    Attributes:
        root: the folder to which reported paths are relative.
        failures: clip key → why the clip cannot be used.
        lost: clip key → emotion, of those failures whose annotation could be read.
        notes: what was found and chosen (layout, sheet), for the user and the provenance.
        corrections: repairs that were made to the annotation, one line each with its reason.
        wide: clip key → size of its frames, where those are wider than high, as whole scenes are.
        cropped: whether the frames show nothing but the face already.
        licence_notice: who may see a cache of these clips; by default that of a licensed data set.
    """

    dataset: str
    root: Path
    clips: list[Clip] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    corrections: list[str] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    wide: dict[str, str] = field(default_factory=dict)
    cropped: bool = True
    licence_notice: str = ""

    def __post_init__(self) -> None:
        self.licence_notice = self.licence_notice or LICENCE_NOTICE.format(dataset=self.dataset)

    @property
    def labels(self) -> list[tuple[tuple[str, str, str], str]]:
        """Data set, subject and clip, and the emotion, of each clip, as protocols take them."""
        return [((clip.dataset, clip.subject, clip.clip), clip.emotion) for clip in self.clips]


class Adapter(Protocol):
    """A function that finds the clips of one official data set below `root`, the folder as delivered.

    The annotation's known errors are `corrected` or not. Keyword arguments of its own (`sheet`, `camera`, …) are what
    `find` may be asked for. It raises `UsageError` where the folder, its frames or its sheet are missing or are not
    that data set's, and for a choice that it does not offer.
    """

    def __call__(self, root: Path, *, corrected: bool = True) -> Discovery: ...  # noqa: D102 - as the class says


def environment_name(dataset: str) -> str:
    """The environment variable that may name a data set's folder: MPT_CASME_SQ."""
    return f"MPT_{dataset.upper().replace('-', '_')}"


def find_root(root: Path, dataset: str) -> Path:
    """`root` if it is a folder; else a `UsageError` that says how to name the right one."""
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(
            f"the {dataset} folder {root} {what}; put the data set there, pass --root FOLDER, "
            f"or set {environment_name(dataset)}=FOLDER"
        )
    return root
