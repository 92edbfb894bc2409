"""Pictures of what preprocessing does to a clip: a contact sheet, and a movie of original beside magnified."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data_cache.atomic import replacing
from data_cache.commandline import progress, say
from data_cache.errors import ClipsFailed, UsageError
from preprocess.contact_sheet import draw_sheet
from preprocess.datasets.base import Clip, ClipError, Discovery
from preprocess.faces.choose import crop_for
from preprocess.frames import read_frames
from preprocess.magnify import Rendered, quantise, render
from preprocess.movie import WRITERS
from preprocess.pipeline import plan_for, standardise
from preprocess.recipe import Recipe
from preprocess.resize import resize
from preprocess.temporal import TemporalPlan

USUAL_CLIPS = 6


@dataclass(frozen=True)
class Scene:
    """All that is drawn of one clip.

    Attributes:
        clip: the clip.
        recipe: how it was rendered.
        plan: its temporal matrices.
        original: (T, S, S, 3) uint8 RGB, the standardised frames.
        apex: (S, S, 3) uint8 RGB, the native apex frame; None where no apex is known inside the clip.
        rendered: dynamic image and magnified motion.
    """

    clip: Clip
    recipe: Recipe
    plan: TemporalPlan
    original: np.ndarray
    apex: np.ndarray | None
    rendered: Rendered

    def times(self) -> np.ndarray:
        """Time of each of the T samples, in milliseconds from the onset."""
        return np.asarray(self.plan.sampling @ np.arange(len(self.clip.frames))) / self.clip.fps * 1e3


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
    say(f"{folder}: {drawn} clips drawn")
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


def make_scene(clip: Clip, recipe: Recipe) -> Scene:
    """Decode and render a clip.

    Raises:
        ClipError: its frames cannot be read, or no face is found.
    """
    plan, crop = plan_for(clip, recipe), crop_for(clip, recipe)
    standard = standardise(clip, plan, recipe.size, crop)
    apex = None
    if clip.apex_index is not None and 0 <= clip.apex_index < len(clip.frames):
        image = next(image for _, image in read_frames(clip.frames, [clip.apex_index]))
        apex = quantise(resize(crop(image) if crop else image, recipe.size))[0]
    return Scene(clip, recipe, plan, quantise(standard)[0], apex, render(standard, plan, recipe))


def _write(path: Path, draw: Callable[[Path], None]) -> None:
    """Let `draw` make a file that appears whole or not at all, whatever library writes it."""
    with replacing(path) as temporary:
        named = temporary.with_name(f"{temporary.name}{path.suffix}")  # libraries choose the format by suffix
        try:
            draw(named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
