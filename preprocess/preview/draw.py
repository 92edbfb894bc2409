"""The command `mpt-preprocess preview`: a contact sheet and a movie of each clip, before and after preprocessing."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
from PIL import Image, features

from data_cache.console.commandline import progress
from data_cache.errors import ClipsFailed, UsageError
from data_cache.files.atomic import replacing
from data_cache.filters import for_the_eye, recipe_notes
from data_cache.names import figure_fonts
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import Discovery
from preprocess.faces import crop_for
from preprocess.frames.read import block_notes, read_frames, resize
from preprocess.motion.magnify import Rendered, quantise, render, stabilised
from preprocess.motion.temporal import TemporalPlan
from preprocess.pipeline import plan_for, standardise
from preprocess.recipe import Recipe

log = logging.getLogger(__name__)

USUAL_CLIPS = 6
COLUMNS = 4  # pictures in a row of a contact sheet
RATE = 8.0  # samples per second of a movie: a micro-expression of a third of a second takes two
STRIP = 28  # height in pixels of the strip above a movie that names its halves


def preview(found: Discovery, wanted: Sequence[str], recipe: Recipe, folder: Path, movie: str) -> None:
    """Draw clips into `folder`, which is made, as `<subject>__<clip>.png` and a `movie` (avif, gif or none) beside it.

    `wanted` are clips as subject/clip, or subjects for all of theirs; none for the first six.

    Raises:
        UsageError: a clip that is not there, or a movie of a kind that Pillow cannot write here.
        ClipsFailed: some clips could not be drawn; the others were.
    """
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
            clips = [clip for clip, _ in drawn]
            for note in [*notes_on(recipe, clips, [share for _, share in drawn]), *block_notes(clips, recipe.blur)]:
                log.warning(f"note: {note}")


def notes_on(recipe: Recipe, clips: Sequence[Clip], clipped: Sequence[float]) -> list[str]:
    """What to say of a recipe on these clips; `clipped` is the share of values that it cut, of each of them."""
    return recipe_notes(recipe.as_json(), [(len(clip.frames), clip.fps) for clip in clips], fmean(clipped))


def draw_each(found: Discovery, wanted: Sequence[str], folder: Path, draw: Callable[[Clip], None]) -> None:
    """Draw the clips of these names into `folder`, one after the other; `ClipsFailed` names those that could not be."""
    clips, failures = choose(found, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    with progress(f"drawing {found.dataset}", len(clips), "clips") as advance:
        for clip in clips:
            try:
                draw(clip)
            except (ClipError, ValueError) as error:
                failures[clip.key] = str(error)
            advance(1, "")
    log.info(f"{folder}: {sum(clip.key not in failures for clip in clips)} clips drawn")
    if failures:
        lines = [f"  {key}: {reason}" for key, reason in failures.items()]
        raise ClipsFailed(f"{len(failures)} clips cannot be drawn:\n" + "\n".join(lines))


def choose(found: Discovery, wanted: Sequence[str]) -> tuple[list[Clip], dict[str, str]]:
    """The clips of these names, and those of them that cannot be used, with the reason; no such name: `UsageError`."""
    if not wanted:
        if not found.clips:
            raise ClipsFailed("; ".join(f"{key}: {reason}" for key, reason in found.failures.items()) or "no clips")
        return found.clips[:USUAL_CLIPS], {}
    clips = {clip.key: clip for clip in found.clips}
    keys: list[str] = []
    for name in wanted:
        named = [key for key in (*clips, *found.failures) if name in (key, key.partition("/")[0])]
        if not named:
            example = found.clips[0].key if found.clips else "sub01/EP02_01f"
            raise UsageError(f"no clip or subject {name!r} in {found.dataset}; clips are called as in {example}")
        keys += named
    failed = {key: found.failures[key] for key in keys if key in found.failures}
    return [clips[key] for key in dict.fromkeys(keys) if key in clips], failed


@dataclass(frozen=True)
class Scene:
    """All that is drawn of one clip."""

    clip: Clip
    recipe: Recipe
    plan: TemporalPlan
    original: np.ndarray  # the standardised frames, (T, S, S, 3) uint8 RGB
    apex: np.ndarray | None  # the native apex frame, (S, S, 3) uint8 RGB, if an apex is known inside the clip
    rendered: Rendered  # as the network sees them
    eye: np.ndarray  # the magnification made to be looked at (`for_the_eye`), (T, S, S) uint8
    eye_alpha: float

    def title(self) -> str:
        """Three lines: which clip this is, how it was rendered, and what the pictures for the eye are."""
        clip = self.clip
        units = f" (AU {clip.action_units})" if clip.action_units else ""
        length = f"{len(clip.frames)} frames at {clip.fps:g} Hz, {len(clip.frames) / clip.fps * 1e3:.0f} ms"
        clipped = f"{self.rendered.clipped_fraction:.1%} of values clipped"
        first = f"{clip.dataset}  {clip.key}  {clip.emotion or 'no label'}{units}"
        eye = f"for the eye: luminance, middle scales, α = {self.eye_alpha:g}"
        return f"{first}\n{length}; α = {self.recipe.alpha:g}, {clipped}\n{eye}"

    def key_frames(self) -> list[tuple[str, np.ndarray]]:
        """Label and picture, (S, S, 3) uint8 RGB, of onset, apex, offset and dynamic image."""
        middle = "middle sample (apex unknown)", self.original[len(self.original) // 2]
        return [
            (f"onset {self.clip.onset}", self.original[0]),
            middle if self.apex is None else (f"apex {self.clip.apex}", self.apex),
            (f"offset {self.clip.offset}", self.original[-1]),
            ("dynamic image", self.rendered.dynamic_image),
        ]

    def side_by_side(self) -> np.ndarray:
        """The original left of the magnified frames, (T, STRIP + S, 2·S, 3) uint8 RGB; a strip above says so."""
        pair = np.concatenate([self.original, self.rendered.motion], axis=2)
        width = pair.shape[2]
        strip = np.full((STRIP, width, 3), 255, np.uint8)
        scale = min(0.45, width / 2 / 500)
        for left, text in ((4, "original"), (width // 2 + 4, f"magnified, alpha {self.recipe.alpha:g}")):
            cv2.putText(strip, text, (left, 19), cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 30), 1, cv2.LINE_AA)
        return np.concatenate([np.broadcast_to(strip, (len(pair), *strip.shape)), pair], axis=1)


def make_scene(clip: Clip, recipe: Recipe) -> Scene:
    """Decode and render a clip; a `ClipError` where its frames cannot be read, or no face is found."""
    plan, crop = plan_for(clip, recipe), crop_for(clip, recipe)
    standard = standardise(clip, plan, recipe.size, crop)
    apex = None
    if clip.apex_index is not None and 0 <= clip.apex_index < len(clip.frames):
        image = next(image for _, image in read_frames(clip.frames, [clip.apex_index]))
        apex = quantise(resize(crop(image) if crop else image, recipe.size))[0]
    extended, operators = stabilised(standard, plan, recipe)
    eye, alpha = for_the_eye(extended, recipe.alpha, operators[1:])
    return Scene(clip, recipe, plan, quantise(standard)[0], apex, render(extended, operators, recipe), eye, alpha)


@figure_fonts()
def write_sheet(scene: Scene, path: Path) -> None:
    """Write the contact sheet as PNG: onset, apex, offset and dynamic image; frames for the eye; for the network."""
    from matplotlib.figure import Figure

    T, clip = len(scene.original), scene.clip
    times = scene.plan.sampling @ np.arange(len(clip.frames)) / clip.fps * 1e3  # milliseconds from the onset
    few, more = (np.unique(np.linspace(0, T - 1, min(T, n)).round().astype(int)) for n in (COLUMNS, 2 * COLUMNS))
    eye = [(f"for the eye, sample {t + 1} ({times[t]:.0f} ms)", scene.eye[t]) for t in few]
    magnified = [(f"for the network, sample {t + 1} ({times[t]:.0f} ms)", scene.rendered.motion[t]) for t in more]
    rows = [row for row in (scene.key_frames(), eye, magnified[:COLUMNS], magnified[COLUMNS:]) if row]
    side = 2.4  # inches
    figure = Figure(figsize=(COLUMNS * side, len(rows) * (side + 0.3) + 0.8), dpi=110, layout="constrained")
    figure.suptitle(scene.title(), fontsize=11)
    axes = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for line, row in zip(axes, rows, strict=True):
        for axis, (label, image) in zip(line, row, strict=False):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_title(label, fontsize=8.5, pad=3)
    figure.savefig(path, format="png", metadata={"Title": f"{clip.dataset} {clip.key}"})


def write_movie(scene: Scene, path: Path, kind: str) -> None:
    """Write the clip in slow motion, over and over, as `kind`: avif or gif."""
    first, *others = map(Image.fromarray, scene.side_by_side())
    # AVIF: seven times as fast as at Pillow's usual speed, and 8 % larger
    first.save(path, kind, save_all=True, append_images=others, duration=round(1e3 / RATE), loop=0, speed=8)
