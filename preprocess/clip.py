"""One annotated micro-expression on its way through preprocessing: its frames, its annotation, its face."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from statistics import median

from data_cache.errors import ClipsFailed


class ClipError(ClipsFailed):
    """One clip cannot be used. The message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class VideoSpan:
    """Frames `first` to `last` (counted from 0, both included) of a video file."""

    path: Path
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class FaceBox:
    """An upright box around a face that may be tilted.

    Attributes:
        x: left edge in pixels of the native frame, growing to the right; `y` the top edge, growing downwards.
        width: in pixels; likewise `height`.
        roll: tilt of the eye line in degrees, −90..90; positive where the eye on the right of the picture is lower.
    """

    x: float
    y: float
    width: float
    height: float
    roll: float = 0.0


def median_box(boxes: Sequence[FaceBox]) -> FaceBox:
    """The box whose every side is the median of those of `boxes`: one bad detection does not move it."""
    return FaceBox(*(median(values) for values in zip(*map(astuple, boxes), strict=True)))


@dataclass(frozen=True)
class Clip:
    """One annotated micro-expression.

    Attributes:
        subject: subject as the data set writes it; unique within the data set.
        clip: clip name; unique within the subject only.
        frames: the native frames from onset to offset, in order: image files, or a span of a video.
        onset: annotated frame number; likewise `apex`, None where unknown, and `offset`.
        fps: native frame rate in Hz.
        emotion: raw emotion label in lower case, "" where unknown.
        action_units: the AU annotation as text; for people, nothing is computed from it.
        face: where the face is, for `--faces csv`; None otherwise.
        missing: (first, last) of each gap between onset and offset, for data sets whose clips lack frames as a rule.
    """

    dataset: str
    subject: str
    clip: str
    frames: tuple[Path, ...] | VideoSpan
    onset: int
    apex: int | None
    offset: int
    fps: float
    emotion: str
    action_units: str = ""
    face: FaceBox | None = None
    missing: tuple[tuple[int, int], ...] = ()

    @property
    def key(self) -> str:
        """`subject/clip`, the name of the clip in every message."""
        return f"{self.subject}/{self.clip}"

    @property
    def files(self) -> Sequence[Path]:
        """The image files, or the video."""
        return (self.frames.path,) if isinstance(self.frames, VideoSpan) else self.frames

    def absolute(self) -> "Clip":
        """The same with absolute paths."""
        paths = tuple(path.absolute() for path in self.files)
        frames = replace(self.frames, path=paths[0]) if isinstance(self.frames, VideoSpan) else paths
        return replace(self, frames=frames)

    @property
    def apex_index(self) -> int | None:
        """Index of the apex among the frames, None where unknown; of a missing apex, that of the next frame."""
        if self.apex is None:
            return None
        lost = sum(min(last + 1, self.apex) - first for first, last in self.missing if first < self.apex)
        return self.apex - self.onset - lost
