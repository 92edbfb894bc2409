"""Known errors of the official annotation: what is corrected, why, and what is only reported.

A correction is keyed by (data set, subject, clip), never by a row number, and is made only where
the delivered files or the annotation itself leave no other reading. A copy of a data set that is already
right is left alone. Where public code bases contradict each
other, nothing is corrected: the clip is reported and its annotation kept.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from data_cache.protocols.protocol import ClipKey
from preprocess.datasets.folders import missing_between


class Annotation(NamedTuple):
    """What is annotated of a clip: frame numbers, None where unknown; emotion in lower case; action units."""

    onset: int | None
    apex: int | None
    offset: int | None
    emotion: str
    action_units: str


@dataclass(frozen=True)
class Correction:
    """One repair: which frame number is wrong, the `value` that it becomes (None for unknown), and its reason."""

    field: Literal["onset", "apex", "offset"]
    value: int | None
    reason: str

    def is_needed(self, annotation: Annotation, frames: Collection[int]) -> bool:
        """Whether the fault is there, by the annotation and the numbers of the frames in the clip's folder."""
        onset, apex, offset, *_ = annotation
        if onset is None or offset is None:
            return self.field == "offset"
        if self.field == "apex":
            return apex is not None and not onset <= apex <= offset
        if self.field == "onset":
            return onset > offset or (onset == 0 and 0 not in frames)
        return onset > offset or bool(missing_between(frames, onset, offset))


_APEX_OUTSIDE = (
    "the sheet's apex lies outside onset to offset, and public code bases put it in different places; the paper's "
    "recipe does not use it"
)

CORRECTIONS: dict[ClipKey, Correction] = {
    ("casme2", "sub16", "EP01_08"): Correction(
        "offset", 96, "the sheet says 110, but the release holds the frames of this clip up to 96 only"
    ),
    ("samm", "013", "013_1_9"): Correction(
        "offset",
        5739,
        "the sheet's offset does not fit the frames, and every public table that was compared reads 5739",
    ),
    ("samm", "028", "028_4_1"): Correction("apex", None, _APEX_OUTSIDE),
    ("samm", "032", "032_3_1"): Correction("apex", None, _APEX_OUTSIDE),
    ("casme3", "spNO.216", "d_3647"): Correction(
        "onset", 2647, "the sheet's onset lies after its apex and offset, and three public code bases read 2647"
    ),
    ("casme3", "spNO.149", "d_112"): Correction(
        "apex", None, "the sheet's apex lies before its onset, and public code bases put it in different places"
    ),
    ("casme3", "spNO.216", "e_0"): Correction(
        "onset", 1, "frames are counted from 1, and the authors' own exception list and code begin at 1"
    ),
}

KNOWN_ANOMALIES: dict[tuple[str, str], str] = {
    ("casme2", "sub04/EP12_01f"): "apex unknown",
    ("casme2", "sub05/EP09_05f"): "apex at onset",
    ("samm", "028/028_4_1"): "apex outside",
    ("samm", "032/032_3_1"): "apex outside",
    ("smic", "s3/s3_ne_03"): "short",
    ("casme3", "spNO.40/e_1812"): "unusable",
    ("casme3", "spNO.40/e_2327"): "unusable",
    ("casme3", "spNO.216/e_0"): "apex outside",
}
"""What `check` reports about the official releases without counting it as unexpected."""


def correct(name: ClipKey, annotation: Annotation, frames: Collection[int]) -> tuple[Annotation, list[str]]:
    """The annotation with its known error repaired, and a line that says what was done and why.

    It is that of the clip called `name`, whose folder holds the numbers `frames`.
    """
    correction = CORRECTIONS.get(name)
    if correction is None or not correction.is_needed(annotation, frames):
        return annotation, []
    wrong = getattr(annotation, correction.field)
    before, after = ("unknown" if value is None else value for value in (wrong, correction.value))
    line = f"{name[1]}/{name[2]}: {correction.field} {before} → {after}, because {correction.reason}"
    changed: dict[str, Any] = {correction.field: correction.value}
    return annotation._replace(**changed), [line]
