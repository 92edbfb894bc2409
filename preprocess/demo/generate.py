"""Write the demo set to disk in the layout of the official CASME II release."""

import io
import json
import logging
import re
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_cache.console.commandline import progress
from data_cache.console.interrupt import stop_request
from data_cache.errors import Interrupted, UsageError, typed_command
from data_cache.files.atomic import write_bytes, write_json
from preprocess.datasets.base import BOX_FILE
from preprocess.demo.face import Identity, Window
from preprocess.demo.motion import TIERS, Camera, film
from preprocess.workers import run_here

log = logging.getLogger(__name__)

CLASSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "happiness": (("12",), ("6", "12")),
    "surprise": (("1", "2"),),
    "disgust": (("4", "9"),),
    "repression": (("24",), ("17", "24")),
    "others": (("15",), ("4", "7")),
}
SHEET = "CASME2-coding-20140508.xlsx"
TITLES = "Subject,Filename,,OnsetFrame,ApexFrame,OffsetFrame,,Action Units,Estimated Emotion"
FRAMES = {False: ("Cropped", "reg_img{}.jpg"), True: ("CASME2_RAW_selected", "img{}.jpg")}
"""Whether scenes are raw → the folder of frames and their names, as in the official release."""
MARKER = "demo-set.json"
_ZIP_DATE = (2014, 5, 8, 0, 0, 0)


@dataclass(frozen=True)
class DemoSet:
    """What to generate. The seed decides every byte; the shipped one was chosen before any score was seen."""

    subjects: int = 8
    clips_per_class: int = 5
    seed: int = 20140508
    quality: int = 75
    raw: bool = False
    camera: Camera = field(default_factory=Camera)
    tier: str = "easy"

    @property
    def name(self) -> str:
        """Name of its folder and its cache when nobody says otherwise."""
        return "demo" + f"-{self.tier}" * (self.tier != "easy") + "-raw" * self.raw


Row = tuple[Any, ...]


def generate(folder: Path, demo: DemoSet, jobs: int = -1) -> None:
    """Make the demo set in `folder`, unless it is there already; a `UsageError` where something else is.

    After Ctrl-C it raises `Interrupted`; the same command then draws the set anew.
    """
    marker = folder / MARKER
    settings = asdict(demo)
    if demo.tier == "easy":
        del settings["tier"]  # sets drawn before there were tiers stay as they are
    with suppress(FileNotFoundError, ValueError, RecursionError):  # none, or a damaged one
        if json.loads(marker.read_text(encoding="utf-8")) == settings:
            log.info(f"{folder}: the demo set is already there")
            return
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise UsageError(f"{folder} is not empty and holds no demo set; name another folder with --root")
    write_json(marker, {"complete": False})  # first, so that an interrupted drawing can be begun again
    for frames, _ in FRAMES.values():
        shutil.rmtree(folder / frames, ignore_errors=True)
    (folder / BOX_FILE).unlink(missing_ok=True)
    tasks = []
    for subject in range(demo.subjects):
        emotions = np.repeat(list(CLASSES), demo.clips_per_class)
        order = np.random.default_rng([demo.seed, subject, 1]).permutation(len(emotions))
        tasks += [(subject, episode, str(emotion)) for episode, emotion in enumerate(emotions[order])]
    made: list[tuple[Row, str]] = []
    with (
        progress("drawing the demo set", len(tasks), "clips") as advance,
        stop_request() as stop,
        closing(run_here(partial(_make_clip, demo, folder.absolute()), tasks, stop, jobs)) as results,
    ):
        for clip in results:
            made.append(clip)
            advance(1, "")
    if stop.is_set():
        raise Interrupted(f"interrupted; start again with: {typed_command()}")
    rows, boxes = zip(*sorted(made, key=lambda clip: clip[0][:2]), strict=True)
    _write_sheet(folder / SHEET, rows)
    if demo.raw:  # the CSV for `--faces csv`: the square that the cropped variant shows
        write_bytes(folder / BOX_FILE, "\n".join(["subject,clip,x,y,width,height", *boxes, ""]).encode())
    write_json(marker, settings)


def _make_clip(demo: DemoSet, root: Path, which: tuple[int, int, str]) -> tuple[Row, str]:
    """Film one clip (subject, episode, emotion) and write its frames; its lines of the sheet and of the boxes."""
    cv2.setNumThreads(1)
    subject, episode, emotion = which
    person = Identity(np.random.default_rng([demo.seed, subject, 0]))
    rng, choosing, placing = (np.random.default_rng([demo.seed, subject, use, episode]) for use in (2, 3, 4))
    units = CLASSES[emotion][choosing.integers(len(CLASSES[emotion]))]
    camera, quality = TIERS[demo.tier].filmed_by(demo.camera, subject)
    window = _window(demo.raw, camera.size, placing)
    filmed, apex = film(person, units, camera, rng, window, TIERS[demo.tier])
    onset = int(rng.integers(1, 120))
    name = f"EP{episode // 4 + 1:02d}_{episode % 4 + 1:02d}f"
    frames, frame_name = FRAMES[demo.raw]
    number = f"{subject + 1:02d}"
    folder = root / frames / f"sub{number}" / name
    folder.mkdir(parents=True)
    for moment, frame in enumerate(filmed, onset):
        image = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, round(demo.quality * quality)])[1]
        (folder / frame_name.format(moment)).write_bytes(encoded.tobytes())
    row = (number, name, None, onset, onset + apex, onset + len(filmed) - 1, None, "+".join(units), emotion)
    return row, f"sub{number},{name},{-window.left},{-window.top},{camera.size},{camera.size}"


def _window(raw: bool, size: int, rng: np.random.Generator) -> Window:
    """What the camera sees: the face alone or, raw, a scene of 2½ by 1⅞ faces with the face somewhere in it."""
    if not raw:
        return Window(0, 0, size, size)
    width, height = size * 5 // 2, size * 15 // 8
    left, top = rng.integers(size // 8, width - size * 9 // 8), rng.integers(size // 8, height - size * 9 // 8)
    return Window(-int(left), -int(top), width, height)


def _write_sheet(path: Path, rows: Sequence[Row]) -> None:
    """The annotation sheet; the same bytes every time, which a spreadsheet library does not give by itself."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    for row in [[title or None for title in TITLES.split(",")], *rows]:
        sheet.append(row)
    buffer, frozen = io.BytesIO(), io.BytesIO()
    book.save(buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(frozen, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            data = re.sub(rb">\d{4}-\d\d-\d\dT[\d:]+Z<", b">2014-05-08T00:00:00Z<", source.read(entry))
            target.writestr(zipfile.ZipInfo(entry.filename, _ZIP_DATE), data, zipfile.ZIP_DEFLATED)
    write_bytes(path, frozen.getbuffer())
