"""Pictures of what preprocessing does to a clip: a contact sheet, and a movie of original beside magnified."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from data_cache.console.commandline import progress
from data_cache.errors import ClipsFailed, UsageError
from data_cache.files.atomic import replacing
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import Discovery
from preprocess.preview.contact_sheet import draw_sheet
from preprocess.preview.movie import WRITERS
from preprocess.preview.scene import make_scene
from preprocess.recipe import Recipe

log = logging.getLogger(__name__)

USUAL_CLIPS = 6


def preview(found: Discovery, wanted: Sequence[str], recipe: Recipe, folder: Path, movie: str) -> None:
    """Draw clips into `folder` as `<subject>__<clip>.png` and a movie of the same name.

    Args:
        found: the data set.
        wanted: clips as subject/clip, or subjects for all of theirs; none for the first six.
        recipe: how to render.
        folder: where the pictures go; it is made.
        movie: mp4, gif or none.

    Raises:
        UsageError: a clip that is not there, or an unknown kind of movie.
        ClipsFailed: some clips could not be drawn; the others were.
    """
    if movie not in (*WRITERS, "none"):
        raise UsageError(f"--movie is {movie!r}; choose one of {', '.join(WRITERS)}, none")
    clips, failures = choose(found, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    with progress(f"drawing {found.dataset}", len(clips), "clips") as advance:
        for clip in clips:
            try:
                scene = make_scene(clip, recipe)
                stem = f"{clip.subject}__{clip.clip}"
                _write(folder / f"{stem}.png", partial(draw_sheet, scene))
                if movie != "none":
                    _write(folder / f"{stem}.{movie}", partial(WRITERS[movie], scene))
            except (ClipError, ValueError) as error:
                failures[clip.key] = str(error)
            advance(1, "")
    drawn = len(clips) - len(failures.keys() & {clip.key for clip in clips})
    log.info(f"{folder}: {drawn} clips drawn")
    if failures:
        lines = [f"  {key}: {reason}" for key, reason in failures.items()]
        raise ClipsFailed(f"{len(failures)} clips cannot be drawn:\n" + "\n".join(lines))


def choose(found: Discovery, wanted: Sequence[str]) -> tuple[list[Clip], dict[str, str]]:
    """The clips asked for, and those of them that cannot be used, with the reason.

    Raises:
        UsageError: a name that is neither a clip nor a subject.
    """
    if not wanted:
        if not found.clips:
            raise ClipsFailed("; ".join(f"{key}: {reason}" for key, reason in found.failures.items()) or "no clips")
        return found.clips[:USUAL_CLIPS], {}
    chosen: dict[str, Clip] = {}
    failed: dict[str, str] = {}
    for name in wanted:
        clips = {clip.key: clip for clip in found.clips if name in (clip.key, clip.subject)}
        failures = {key: why for key, why in found.failures.items() if name in (key, key.split("/")[0])}
        if not clips and not failures:
            example = found.clips[0].key if found.clips else "sub01/EP02_01f"
            raise UsageError(f"no clip or subject {name!r} in {found.dataset}; clips are called as in {example}")
        chosen |= clips
        failed |= failures
    return list(chosen.values()), failed


def _write(path: Path, draw: Callable[[Path], None]) -> None:
    """Let `draw` make a file that appears whole or not at all, whatever library writes it."""
    with replacing(path) as temporary:
        named = temporary.with_name(f"{temporary.name}{path.suffix}")  # libraries choose the format by suffix
        try:
            draw(named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
