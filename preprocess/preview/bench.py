"""A bench for recipes: one page on which clips move, each rendered by several recipes, with what the numbers say."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from data_cache.explore.charts import Line, lines
from data_cache.explore.clips import encode, picture_format, strip, strip_shape
from data_cache.explore.page import require_own
from data_cache.files.atomic import write_bytes
from data_cache.filters import apex_gain, recipe_notes
from preprocess.clip import Clip
from preprocess.datasets.base import Discovery
from preprocess.faces.crop import crop_for
from preprocess.frames.blocks import block_notes
from preprocess.motion.magnify import BAND_OFFSET, magnified, quantise, render
from preprocess.motion.pyramid import laplacian_pyramid
from preprocess.motion.temporal import TemporalPlan
from preprocess.pipeline import plan_for, standardise
from preprocess.preview.draw import draw_each
from preprocess.recipe import Recipe

SIDE = 224
"""Pixels of a frame on the page, at most."""
SLICE = 0.3
"""Where the slice is cut, as a share of the width: through brow, eye and corner of the mouth of a cropped face."""
_STRETCH = 8  # columns per moment of a slice: codecs store colours at half the resolution


@dataclass(frozen=True)
class View:
    """A clip rendered by a recipe; pictures are paths from the page."""

    name: str
    moving: str
    slice: str
    shape: tuple[int, int, int]  # frames, columns and rows of `moving`
    facts: dict[str, str]
    chart: str = ""


def bench(found: Discovery, wanted: Sequence[str], recipes: Sequence[tuple[str, Recipe]], folder: Path) -> Path:
    """Write the page for these clips × recipes; its path.

    Args:
        wanted: clips as subject/clip, or subjects for all of theirs; none for the first six.
        recipes: each with the name that the page calls it.
        folder: where `index.html` and `clips/` go; a page that is there already is replaced.

    Raises:
        UsageError: a clip that is not there, or a folder that holds other things.
        ClipsFailed: some clips could not be drawn; the others were.
    """
    from jinja2 import Environment, PackageLoader

    require_own(folder)
    for old in (folder / "clips").glob("????-*.*"):
        old.unlink()
    shown: list[tuple[Clip, list[View]]] = []
    clipped: list[list[float]] = []

    def draw(clip: Clip) -> None:
        stem = f"clips/{len(shown):04d}"
        made = [_view(clip, name, recipe, folder, f"{stem}-{k}") for k, (name, recipe) in enumerate(recipes)]
        clipped.append([share for _, share in made])
        shown.append((clip, [_original(clip, recipes[0][1], folder, f"{stem}-o"), *(view for view, _ in made)]))

    try:
        draw_each(found, wanted, folder, draw)
    finally:
        if shown:
            lengths = [(len(clip.frames), clip.fps) for clip, _ in shown]
            shares = np.mean(clipped, 0)
            notes = [
                f"{name}: {note}"
                for (name, recipe), share in zip(recipes, shares, strict=True)
                for note in recipe_notes(recipe.as_json(), lengths, float(share))
            ]
            environment = Environment(loader=PackageLoader("preprocess.preview", ""), autoescape=True, trim_blocks=True)
            html = environment.get_template("bench.html.j2").render(
                title=f"{found.dataset}: {len(shown)} clips, {len(recipes)} recipes",
                notices=[*filter(None, [found.licence_notice]), *block_notes([clip for clip, _ in shown]), *notes],
                css=(files("data_cache.explore") / "page.css").read_text(encoding="utf-8"),
                recipes=[(name, options(recipe)) for name, recipe in recipes],
                clips=shown,
                slice=f"{SLICE:.0%}",
            )
            write_bytes(folder / "index.html", html.encode(errors="backslashreplace"))
    return folder / "index.html"


def options(recipe: Recipe) -> str:
    """What to type for this recipe."""
    usual, words = recipe.as_json(), []
    for field in fields(Recipe):
        value = usual.get(field.name, field.default)
        if value != field.default and field.name not in ("faces", "algorithm"):
            flag = f"--{field.name.replace('_', '-')}"
            words.append(flag if value is True else f"{flag} {value}")
    return " ".join(words)


def noise_gain(plan: TemporalPlan, recipe: Recipe) -> float:
    """By how much the recipe raises white noise of the native frames: its standard deviation afterwards over before.

    Resizing, which averages pixels where it shrinks, comes before and is not counted, nor is stabilisation.
    """
    covariance = plan.sampling @ plan.sampling.T + 1e-9 * np.eye(len(plan.sampling))
    white = np.random.default_rng(0).standard_normal((len(plan.sampling), recipe.size, recipe.size, 1))
    sampled = np.tensordot(np.linalg.cholesky(covariance), white, axes=1).astype(np.float32)
    return float(magnified(sampled, plan, replace(recipe, stabilise="none")).std())


def _view(clip: Clip, name: str, recipe: Recipe, folder: Path, stem: str) -> tuple[View, float]:
    """One rendering, and the share of its values that clip."""
    plan = plan_for(clip, recipe)
    standard = standardise(clip, plan, recipe.size, crop_for(clip, recipe))
    rendered = render(standard, plan, recipe)
    moved = magnified(standard, plan, recipe) - (standard if recipe.motion_form == "additive" else BAND_OFFSET)
    levels = zip(*(laplacian_pyramid(frame, recipe.levels) for frame in moved), strict=True)
    energy = [np.array([np.sqrt(np.mean(image**2)) for image in level]) for level in levels]
    names = ["level 1 (fine)", *(f"level {k}" for k in range(2, recipe.levels)), "rest (coarse)"][: recipe.levels]
    chart = lines(list(map(Line, names, energy)), "sample", "rms of the motion", first=1)
    where = 0.5 if clip.apex_index is None else clip.apex_index / max(len(clip.frames) - 1, 1)
    gain = apex_gain(plan.filter, where)
    facts = {
        "clipped": f"{rendered.clipped_fraction:.1%}",
        "gain at the apex": f"{gain:.2f} × {recipe.gains if recipe.listed_gains else f'{recipe.alpha:g}'}",
        "noise": f"× {noise_gain(plan, recipe):.1f}",
    }
    return View(name, *_pictures(rendered.motion, folder, stem), facts, chart), rendered.clipped_fraction


def _original(clip: Clip, recipe: Recipe, folder: Path, stem: str) -> View:
    """The frames before magnification, with facts on the clip."""
    frames = quantise(standardise(clip, plan_for(clip, recipe), recipe.size, crop_for(clip, recipe)))[0]
    seconds = len(clip.frames) / clip.fps
    facts = {"class": clip.emotion or "(no label)", "length": f"{seconds * 1e3:.0f} ms, {len(clip.frames)} frames"}
    return View("original", *_pictures(frames, folder, stem), facts)


def _pictures(frames: np.ndarray, folder: Path, stem: str) -> tuple[str, str, tuple[int, int, int]]:
    """Write the strip of frames (T, S, S, 3) uint8 and their slice over time; names, and the shape of the strip."""
    from PIL import Image

    moving, cut = f"{stem}.{picture_format()}", f"{stem}-slice.{picture_format()}"
    write_bytes(folder / moving, strip(frames, SIDE), durable=False)
    over_time = frames[:, :, int(SLICE * frames.shape[2])].transpose(1, 0, 2).repeat(_STRETCH, axis=1)
    write_bytes(folder / cut, encode(Image.fromarray(over_time)), durable=False)
    return moving, cut, (len(frames), *strip_shape(len(frames)))
