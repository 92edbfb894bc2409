"""Preprocess new clips for prediction: `mpt-preprocess` makes a cache of them, with the recipe of the model's run.

The two stages meet in files only, so it runs as a process of its own, not as an import.
"""

from __future__ import annotations

import csv
import json
import mimetypes
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_cache.console.commandline import say
from data_cache.console.options import option
from data_cache.errors import PAGES, MptError, UsageError

if TYPE_CHECKING:  # NumPy, which `--help` does without
    from data_cache.schema import StoredRecipe

NO_SUBJECT, NO_EMOTION = "new", "unlabelled"
_BOXES = f"CSV of boxes ({PAGES.format(page='how-to/faces')}); a clip outside a CSV is new/<name>."
_FACES = "none: the frames show faces only; auto: a detector finds them; csv: by --face-boxes."


@dataclass(frozen=True)
class Frames:
    """What of a folder or video is the clip, how fast it was taken, and how faces are cropped from it."""

    onset: int | None = option(None, "First frame.", minimum=0, shown="the first there is")
    offset: int | None = option(None, "Last frame.", minimum=0, shown="the last there is")
    fps: float | None = option(None, "Frames per second; folders need it.", minimum=0, shown="the video's")
    faces: Literal["none", "csv", "auto"] | None = option(None, _FACES, shown="as in the run's cache")
    face_boxes: Path | None = option(None, _BOXES)

    @property
    def numbers(self) -> dict[str, float | None]:
        """What a list of clips says for each of them."""
        return {"onset": self.onset, "offset": self.offset, "fps": self.fps}

    def cropping(self, recipe: StoredRecipe) -> list[str]:
        """The options of `mpt-preprocess` for faces, where the run's caches were made with `recipe`."""
        how = self.faces or ("csv" if self.face_boxes else recipe.faces)
        if how == "csv" and self.face_boxes is None:
            raise UsageError(
                "the faces of the run's cache were cropped by boxes from a file; say how to crop these: --face-boxes "
                "FILE, --faces auto (a detector), or --faces none (they are cropped already)"
            )
        return ["--faces", how, *(["--face-boxes", str(self.face_boxes)] if self.face_boxes else [])]


class NewClips:
    """New clips and the files that `mpt-preprocess` reads them by, in a folder of their own.

    A UsageError if the source holds no clip, an option does not fit it, or the rate or a way to crop faces is missing.

    Args:
        source: a folder of frames, a folder of such folders and videos, a video, a CSV of clips, or a cache.
        recipe: of the caches that the model was trained on.
    """

    def __init__(self, folder: Path, source: Path, frames: Frames, recipe: StoredRecipe) -> None:
        self.folder, self.source = folder, source
        if not source.exists():
            raise UsageError(f"no {source}; give a folder of frames, a video, a CSV of clips, or a cache")
        suffix = source.suffix.lower()
        self.lists_clips, self.is_cache = suffix == ".csv", suffix in (".h5", ".hdf5")
        if (self.lists_clips or self.is_cache) and any(value is not None for value in frames.numbers.values()):
            raise UsageError(f"--onset, --offset and --fps are for one clip; {source} names them for each clip")
        if self.is_cache and frames != Frames():
            raise UsageError(f"--faces and --face-boxes are for frames; those of {source} are cropped already")
        self.manifest, recipe_file = folder / "clips.csv", folder / "recipe.json"
        self.how = ["--recipe", str(recipe_file), *([] if self.is_cache else frames.cropping(recipe))]
        recipe_file.write_text(json.dumps(dict(recipe.values)), encoding="utf-8")
        if not self.is_cache:
            rows = _listed_rows(source) if self.lists_clips else _found_rows(source, frames)
            with self.manifest.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, sorted({name for row in rows for name in row}))
                writer.writeheader()
                writer.writerows(rows)

    def cache(self) -> Path:
        """A cache of the clips; an MptError says why they could not be preprocessed."""
        if self.is_cache:
            return self.source
        made = self.folder / "clips.h5"
        self._preprocess("manifest", "--output", made)
        return made

    def draw(self, folder: Path) -> None:
        """Write a contact sheet and a movie of every clip, original beside magnified; a cache has no originals."""
        if self.is_cache:
            raise UsageError(f"--magnified needs the frames themselves; {self.source} is a cache")
        with self.manifest.open(newline="", encoding="utf-8") as file:
            names = [f"{row['subject']}/{row['clip']}" for row in csv.DictReader(file)]
        self._preprocess("preview", *names, "--output", folder)

    def _preprocess(self, action: str, *arguments: object) -> None:
        command = [action, str(self.manifest), *map(str, arguments), *self.how]
        program = [sys.executable, "-P", "-m", "preprocess.cli", *command]
        with subprocess.Popen(program, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as child:
            said = []
            for line in child.stderr or ():
                said.append(line)
                if re.match(r"preprocessing .* left", line):
                    say(line.rstrip())
        if child.returncode != 0:
            whole = "".join(said)
            text = (whole.partition("mpt-preprocess: ")[2] or whole).partition("\nNo cache was written")[0].strip()
            text = text.replace(str(self.manifest), str(self.source))
            if not self.lists_clips:  # nobody but this program wrote the manifest
                text = re.sub(r"\bline \d+: |; paths are relative to the manifest", "", text)
            error = MptError(text)
            error.exit_code = child.returncode if child.returncode > 0 else MptError.exit_code
            raise error


def _found_rows(source: Path, frames: Frames) -> list[dict[str, str]]:
    """Lines of the manifest for a video, for a folder of frames, or for each of those below a folder.

    Below a folder, the folder that holds a clip names its subject.
    """
    source = source.resolve()
    clips = [source]
    if source.is_dir() and not _holds_frames(source):
        clips = [each for each in sorted(source.rglob("*")) if _holds_frames(each) or _is(each, "video")]
    if not clips:
        raise UsageError(f"{source} holds neither numbered images nor folders of them nor videos; name another folder")
    if len(clips) > 1 and (frames.onset, frames.offset) != (None, None):
        raise UsageError(f"--onset and --offset are for one clip; {source} holds {len(clips)}: list them in a CSV")
    if frames.fps is None and any(clip.is_dir() for clip in clips):
        raise UsageError(f"the images in {source} do not say how fast they were taken; pass --fps, such as --fps 200")
    numbers = {field: "" if value is None else f"{value:g}" for field, value in frames.numbers.items()}
    return [
        {
            "subject": NO_SUBJECT if clip == source or clip.parent == source else clip.parent.name,
            "clip": clip.stem if clip.is_file() else clip.name,
            "path": str(clip),
            "emotion": NO_EMOTION,
            **numbers,
        }
        for clip in clips
    ]


def _holds_frames(folder: Path) -> bool:
    return folder.is_dir() and any(_is(each, "image") for each in folder.iterdir())


def _is(path: Path, kind: str) -> bool:
    named = mimetypes.guess_type(path.name)[0] or ("video/x-matroska" if path.suffix.lower() == ".mkv" else "")
    return named.startswith(f"{kind}/") and not path.name.startswith(".") and path.is_file()


def _listed_rows(source: Path) -> list[dict[str, str]]:
    """The lines of a user's CSV; only the column `path` has to be there."""
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                {(name or "").strip(): (value or "").strip() for name, value in row.items() if isinstance(value, str)}
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{source} cannot be read as CSV: {error}") from error
    if not rows or "path" not in rows[0]:
        found = ", ".join(rows[0]) if rows else "nothing"
        raise UsageError(f"{source}: expected a CSV with the column path and at least one clip; found {found}")
    return [
        {
            **row,
            "subject": row.get("subject") or NO_SUBJECT,
            "clip": row.get("clip") or Path(row["path"]).stem,
            "path": str((source.parent / row["path"]).resolve()),
            "emotion": row.get("emotion") or NO_EMOTION,
        }
        for row in rows
    ]
