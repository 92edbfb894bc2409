"""Write the demo set to disk in the layout of the official CASME II release."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_cache.atomic import write_bytes, write_json
from data_cache.commandline import progress, say
from data_cache.errors import UsageError
from preprocess.demo.face import draw_identity
from preprocess.demo.motion import Camera, film
from preprocess.fanout import fan_out

CLASSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "happiness": (("12",), ("6", "12")),
    "surprise": (("1", "2"),),
    "disgust": (("4", "9"),),
    "repression": (("24",), ("17", "24")),
    "others": (("15",), ("4", "7")),
}
SHEET = "CASME2-coding-20140508.xlsx"
HEADER = (
    "Subject",
    "Filename",
    None,
    "OnsetFrame",
    "ApexFrame",
    "OffsetFrame",
    None,
    "Action Units",
    "Estimated Emotion",
)
MARKER = "demo-set.json"
_ZIP_DATE = (2014, 5, 8, 0, 0, 0)


@dataclass(frozen=True)
class DemoSet:
    """What to generate. The seed decides every byte; the shipped one was chosen before any score was seen."""

    subjects: int = 8
    clips_per_class: int = 5
    seed: int = 20140508
    quality: int = 75
    camera: Camera = field(default_factory=Camera)


@dataclass(frozen=True)
class _Task:
    demo: DemoSet
    folder: Path
    subject: int
    episode: int
    emotion: str


Row = tuple[Any, ...]


def generate(folder: Path, demo: DemoSet, jobs: int = -1) -> None:
    """Make the demo set in `folder`, unless it is there already.

    Raises:
        UsageError: the folder holds something else.
    """
    marker = folder / MARKER
    settings = asdict(demo)
    if marker.exists() and json.loads(marker.read_text()) == settings:
        say(f"{folder}: the demo set is already there")
        return
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise UsageError(f"{folder} is not empty and holds no demo set; name another folder with --root")
    if marker.exists():
        marker.unlink()
    shutil.rmtree(folder / "Cropped", ignore_errors=True)
    tasks = list(_tasks(folder, demo))
    rows: list[Row] = []
    with progress("drawing the demo set", len(tasks), "clips") as advance:
        for row in fan_out(_make_clip, tasks, jobs):
            rows.append(row)
            advance(1, "")
    _write_sheet(folder / SHEET, sorted(rows))
    write_json(marker, settings)


def _tasks(folder: Path, demo: DemoSet) -> Iterator[_Task]:
    for subject in range(demo.subjects):
        emotions = [emotion for emotion in CLASSES for _ in range(demo.clips_per_class)]
        order = np.random.default_rng([demo.seed, subject, 1]).permutation(len(emotions))
        for episode, index in enumerate(order):
            yield _Task(demo, folder, subject, episode, emotions[index])


def _make_clip(task: _Task) -> Row:
    """Film one clip and write its frames; its line of the sheet."""
    cv2.setNumThreads(1)
    demo = task.demo
    person = draw_identity(np.random.default_rng([demo.seed, task.subject, 0]))
    rng = np.random.default_rng([demo.seed, task.subject, 2, task.episode])
    choices = CLASSES[task.emotion]
    units = choices[np.random.default_rng([demo.seed, task.subject, 3, task.episode]).integers(len(choices))]
    filmed = film(person, units, demo.camera, rng)
    onset = int(rng.integers(1, 120))
    name = f"EP{task.episode // 4 + 1:02d}_{task.episode % 4 + 1:02d}f"
    folder = task.folder / "Cropped" / f"sub{task.subject + 1:02d}" / name
    folder.mkdir(parents=True)
    for number, frame in enumerate(filmed.frames, onset):
        encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, demo.quality]
        )[1]
        (folder / f"reg_img{number}.jpg").write_bytes(encoded.tobytes())
    apex, offset = onset + filmed.apex, onset + len(filmed.frames) - 1
    return (f"{task.subject + 1:02d}", name, None, onset, apex, offset, None, "+".join(units), task.emotion)


def _write_sheet(path: Path, rows: list[Row]) -> None:
    """The annotation sheet; the same bytes every time, which a spreadsheet library does not give by itself."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    for row in [HEADER, *rows]:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    frozen = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(frozen, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "docProps/core.xml":
                data = re.sub(rb">\d{4}-\d\d-\d\dT[\d:]+Z<", b">2014-05-08T00:00:00Z<", data)
            target.writestr(zipfile.ZipInfo(entry.filename, _ZIP_DATE), data, zipfile.ZIP_DEFLATED)
    write_bytes(path, frozen.getbuffer())
