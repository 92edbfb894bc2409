"""A bench for recipes: one page on which clips move, each rendered by several recipes, with what the numbers say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.explore.charts import Line, lines
from data_cache.explore.clips import encode, picture_format, strip, strip_shape
from data_cache.explore.page import rendered, require_own
from data_cache.files.atomic import write_bytes
from data_cache.filters import BAND_OFFSET, apex_gain
from preprocess.clip import Clip
from preprocess.datasets.base import Discovery
from preprocess.faces import crop_for
from preprocess.frames.read import block_notes
from preprocess.motion.magnify import magnified, quantise
from preprocess.motion.pyramid import laplacian_pyramid
from preprocess.motion.temporal import TemporalPlan
from preprocess.pipeline import plan_for, standardise
from preprocess.preview.draw import draw_each, notes_on
from preprocess.recipe import Recipe

SIDE = 224  # pixels of a frame on the page, at most
SLICE = 0.3
"""Where the slice is cut, as a share of the width: through brow, eye and corner of the mouth of a cropped face."""
_STRETCH = 8  # columns per moment of a slice: codecs store colours at half the resolution


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
    require_own(folder)
    for old in (folder / "clips").glob("????-*.*"):
        old.unlink()
    shown: list[tuple[Clip, list[dict[str, Any]]]] = []

    def draw(clip: Clip) -> None:
        shown.append((clip, _tiles(clip, recipes, folder, f"clips/{len(shown):04d}")))

    try:
        draw_each(found, wanted, folder, draw)
    finally:
        if shown:
            clips = [clip for clip, _ in shown]
            notices = [found.licence_notice] if found.licence_notice else []
            notices += block_notes(clips, min(recipe.blur for _, recipe in recipes))
            for k, (name, recipe) in enumerate(recipes, 1):
                clipped = [tiles[k]["clipped"] for _, tiles in shown]
                notices += [f"{name}: {note}" for note in notes_on(recipe, clips, clipped)]
            html = rendered(
                "preprocess.preview",
                "bench.html.j2",
                title=f"{found.dataset}: {len(shown)} clips, {len(recipes)} recipes",
                notices=notices,
                recipes=[(name, options(recipe)) for name, recipe in recipes],
                clips=shown,
                slice=f"{SLICE:.0%}",
            )
            write_bytes(folder / "index.html", html)
    return folder / "index.html"


def options(recipe: Recipe) -> str:
    """What to type for this recipe."""
    usual, words = Recipe().as_json(), []
    for name, value in recipe.as_json().items():
        if value != usual.get(name) and name not in ("faces", "algorithm"):
            flag = f"--{name.replace('_', '-')}"
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


def _tiles(clip: Clip, recipes: Sequence[tuple[str, Recipe]], folder: Path, stem: str) -> list[dict[str, Any]]:
    """What the page shows of the clip: before magnification, then by each recipe."""
    tiles: list[dict[str, Any]] = []
    for k, (name, recipe) in enumerate(recipes):
        plan = plan_for(clip, recipe)
        standard = standardise(clip, plan, recipe.size, crop_for(clip, recipe))
        if not tiles:
            length = f"{len(clip.frames) / clip.fps * 1e3:.0f} ms, {len(clip.frames)} frames"
            facts = {"class": clip.emotion or "(no label)", "length": length}
            tiles.append({"name": "original", "facts": facts, **_pictures(quantise(standard)[0], folder, f"{stem}-o")})
        frames = magnified(standard, plan, recipe)
        motion, cut = quantise(frames)
        clipped = cut / frames.size
        where = 0.5 if clip.apex_index is None else clip.apex_index / max(len(clip.frames) - 1, 1)
        gain = recipe.gains if recipe.listed_gains else f"{recipe.alpha:g}"
        facts = {
            "clipped": f"{clipped:.1%}",
            "gain at the apex": f"{apex_gain(plan.filter, where):.2f} × {gain}",
            "noise": f"× {noise_gain(plan, recipe):.1f}",
        }
        moved = frames - (standard if recipe.motion_form == "additive" else BAND_OFFSET)
        shown = {"facts": facts, "chart": _chart(moved, recipe.levels), **_pictures(motion, folder, f"{stem}-{k}")}
        tiles.append({"name": name, "clipped": clipped, **shown})
    return tiles


def _chart(moved: np.ndarray, levels: int) -> str:
    """How strong the motion (T, S, S, 3) is on each pyramid level, over time."""
    pyramids = zip(*(laplacian_pyramid(frame, levels) for frame in moved), strict=True)
    energy = [np.array([np.sqrt(np.mean(image**2)) for image in level]) for level in pyramids]
    names = ["level 1 (fine)", *(f"level {k}" for k in range(2, levels)), "rest (coarse)"][:levels]
    return lines(list(map(Line, names, energy)), "sample", "rms of the motion", first=1)


def _pictures(frames: np.ndarray, folder: Path, stem: str) -> dict[str, Any]:
    """Write the strip of frames (T, S, S, 3) uint8 and their slice over time; paths and the strip's shape."""
    from PIL import Image

    moving, cut = f"{stem}.{picture_format()}", f"{stem}-slice.{picture_format()}"
    write_bytes(folder / moving, strip(frames, SIDE), durable=False)
    over_time = frames[:, :, int(SLICE * frames.shape[2])].transpose(1, 0, 2).repeat(_STRETCH, axis=1)
    write_bytes(folder / cut, encode(Image.fromarray(over_time)), durable=False)
    return {"moving": moving, "slice": cut, "shape": (len(frames), *strip_shape(len(frames)))}
