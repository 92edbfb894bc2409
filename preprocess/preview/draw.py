"""The command `mpt-preprocess preview`: a contact sheet and a movie of each clip."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import features

from data_cache.console.commandline import progress
from data_cache.errors import ClipsFailed, UsageError
from data_cache.files.atomic import replacing
from data_cache.filters import recipe_notes
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import Discovery
from preprocess.frames.blocks import block_notes
from preprocess.preview.scene import make_scene, write_movie, write_sheet
from preprocess.recipe import Recipe

log = logging.getLogger(__name__)

USUAL_CLIPS = 6
MOVIES = ("avif", "gif", "none")


def preview(found: Discovery, wanted: Sequence[str], recipe: Recipe, folder: Path, movie: str) -> None:
    """Draw clips into `folder` as `<subject>__<clip>.png` and a movie of the same name.

    Args:
        wanted: clips as subject/clip, or subjects for all of theirs; none for the first six.
        folder: where the pictures go; it is made.
        movie: avif, gif or none.

    Raises:
        UsageError: a clip that is not there, a movie of an unknown kind, or of one that Pillow cannot write here.
        ClipsFailed: some clips could not be drawn; the others were.
    """
    if movie not in MOVIES:
        raise UsageError(f"--movie is {movie!r}; choose one of {', '.join(MOVIES)}")
    if movie == "avif" and not features.check("avif"):
        raise UsageError("--movie avif: this build of Pillow cannot write AVIF; pass --movie gif")
    drawn: list[tuple[Clip, float]] = []

    def draw(clip: Clip) -> None:
        scene = make_scene(clip, recipe)
        stem = f"{clip.subject}__{clip.clip}"
        with replacing(folder / f"{stem}.png") as path:
            write_sheet(scene, path)
        if movie != "none":
            with replacing(folder / f"{stem}.{movie}") as path:
                write_movie(scene, path, movie)
        drawn.append((clip, scene.rendered.clipped_fraction))

    try:
        draw_each(found, wanted, folder, draw)
    finally:
        if drawn:
            lengths = [(len(clip.frames), clip.fps) for clip, _ in drawn]
            clipped = sum(share for _, share in drawn) / len(drawn)
            for note in [*recipe_notes(recipe.as_json(), lengths, clipped), *block_notes([clip for clip, _ in drawn])]:
                log.warning(f"note: {note}")


def draw_each(found: Discovery, wanted: Sequence[str], folder: Path, draw: Callable[[Clip], None]) -> None:
    """Draw the clips of these names into `folder`, one after the other.

    Raises:
        UsageError: a clip that is not there.
        ClipsFailed: some clips could not be drawn; the others were.
    """
    clips, failures = choose(found, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    with progress(f"drawing {found.dataset}", len(clips), "clips") as advance:
        for clip in clips:
            try:
                draw(clip)
            except (ClipError, ValueError) as error:
                failures[clip.key] = str(error)
            advance(1, "")
    drawn = len(clips) - len(failures.keys() & {clip.key for clip in clips})
    log.info(f"{folder}: {drawn} clips drawn")
    if failures:
        lines = [f"  {key}: {reason}" for key, reason in failures.items()]
        raise ClipsFailed(f"{len(failures)} clips cannot be drawn:\n" + "\n".join(lines))


def choose(found: Discovery, wanted: Sequence[str]) -> tuple[list[Clip], dict[str, str]]:
    """The clips of these names, and those of them that cannot be used, with the reason.

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
