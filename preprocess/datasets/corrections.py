"""Known errors of the official annotation: what is corrected, why, and what is only reported.

A correction is keyed by (data set, subject, clip), never by a row number, and is made only where
the delivered files or the annotation itself leave no other reading. `only_if` is checked first, so
a copy of a data set that is already right is left alone. Where public code bases contradict each
other, nothing is corrected: the clip is reported and its annotation kept.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from data_cache.protocols.protocol import ClipKey
from preprocess.datasets.base import Annotation
from preprocess.datasets.folders import missing_between


@dataclass(frozen=True)
class Correction:
    """One repair.

    Attributes:
        field: which frame number is wrong; `value` is what it becomes, None for unknown.
        only_if: what must hold of the annotation and the numbers of the frames that are there.
        reason: why nothing else is possible.
    """

    field: Literal["onset", "apex", "offset"]
    value: int | None
    only_if: Callable[[Annotation, Collection[int]], bool]
    reason: str


def _frames_are_missing(annotation: Annotation, frames: Collection[int]) -> bool:
    onset, offset = annotation.onset, annotation.offset
    if onset is None or offset is None or onset > offset:
        return True
    return bool(missing_between(frames, onset, offset))


def _apex_lies_outside(annotation: Annotation, _frames: Collection[int]) -> bool:
    onset, apex, offset = annotation.onset, annotation.apex, annotation.offset
    return onset is not None and apex is not None and offset is not None and not onset <= apex <= offset


def _onset_lies_after_offset(annotation: Annotation, _frames: Collection[int]) -> bool:
    return annotation.onset is not None and annotation.offset is not None and annotation.onset > annotation.offset


def _there_is_no_frame_0(annotation: Annotation, frames: Collection[int]) -> bool:
    return annotation.onset == 0 and 0 not in frames


_APEX_OUTSIDE = (
    "the sheet's apex lies outside onset to offset, and public code bases put it in different places; the paper's "
    "recipe does not use it"
)

CORRECTIONS: dict[ClipKey, Correction] = {
    ("casme2", "sub16", "EP01_08"): Correction(
        "offset",
        96,
        _frames_are_missing,
        "the sheet says 110, but the release holds the frames of this clip up to 96 only",
    ),
    ("samm", "013", "013_1_9"): Correction(
        "offset",
        5739,
        _frames_are_missing,
        "the sheet's offset does not fit the frames, and every public table that was compared reads 5739",
    ),
    ("samm", "028", "028_4_1"): Correction("apex", None, _apex_lies_outside, _APEX_OUTSIDE),
    ("samm", "032", "032_3_1"): Correction("apex", None, _apex_lies_outside, _APEX_OUTSIDE),
    ("casme3", "spNO.216", "d_3647"): Correction(
        "onset",
        2647,
        _onset_lies_after_offset,
        "the sheet's onset lies after its apex and offset, and three public code bases read 2647",
    ),
    ("casme3", "spNO.149", "d_112"): Correction(
        "apex",
        None,
        _apex_lies_outside,
        "the sheet's apex lies before its onset, and public code bases put it in different places",
    ),
    ("casme3", "spNO.216", "e_0"): Correction(
        "onset",
        1,
        _there_is_no_frame_0,
        "frames are counted from 1, and the authors' own exception list and code begin at 1",
    ),
}

KNOWN_ANOMALIES: dict[ClipKey, str] = {
    ("casme2", "sub04", "EP12_01f"): "apex unknown",
    ("casme2", "sub05", "EP09_05f"): "apex at onset",
    ("samm", "028", "028_4_1"): "apex outside",
    ("samm", "032", "032_3_1"): "apex outside",
    ("smic", "s3", "s3_ne_03"): "short",
    ("casme3", "spNO.40", "e_1812"): "unusable",
    ("casme3", "spNO.40", "e_2327"): "unusable",
    ("casme3", "spNO.216", "e_0"): "apex outside",
}
"""What `check` reports about the official releases without counting it as unexpected."""


def correct(dataset: str, annotation: Annotation, frames: Collection[int]) -> tuple[Annotation, list[str]]:
    """The annotation with its known error repaired, and a line that says what was done and why.

    Args:
        dataset: name of the data set.
        annotation: as the sheet states it.
        frames: the frame numbers that the clip's folder holds.
    """
    correction = CORRECTIONS.get((dataset, annotation.subject, annotation.clip))
    if correction is None or not correction.only_if(annotation, frames):
        return annotation, []
    before = getattr(annotation, correction.field)
    before, after = ("unknown" if value is None else value for value in (before, correction.value))
    line = f"{annotation.subject}/{annotation.clip}: {correction.field} {before} → {after}, because {correction.reason}"
    changed: dict[str, Any] = {correction.field: correction.value}
    return replace(annotation, **changed), [line]
