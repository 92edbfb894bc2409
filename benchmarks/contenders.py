"""The clips of the preprocessing benchmark, and the ways to treat one that are compared on them."""

import contextlib
import importlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from scipy import signal

from data_cache.schema import CacheAttributes
from data_cache.write.shards import write_shard
from preprocess.clip import Clip
from preprocess.demo.face import Identity
from preprocess.demo.motion import Camera, film
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe

FRAMES, HEIGHT, WIDTH = 66, 340, 280
DEFAULT = Recipe()
STABILISED = Recipe(stabilise="rigid")
THOROUGH = Recipe(explicit_pyramid=True, sampling="box", gains="evm")
ATTRIBUTES = CacheAttributes("benchmark", DEFAULT.as_json(), DEFAULT.digest, "0" * 64, {}, "synthetic")


def draw_clip(folder: Path, number: int, frames: int = FRAMES) -> Clip:
    """Draw one clip as JPEG files; longer ones repeat frames."""
    rng = np.random.default_rng(number)
    filmed, _ = film(Identity(rng), ("1", "2"), Camera(size=HEIGHT, fps=450), rng)
    paths = []
    folder.mkdir(parents=True)
    for index in range(frames):
        frame = filmed[index % len(filmed)][:, (HEIGHT - WIDTH) // 2 :][:, :WIDTH]
        paths.append(folder / f"reg_img{index + 1}.jpg")
        cv2.imwrite(str(paths[-1]), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return Clip("benchmark", "sub01", f"EP{number:02d}", tuple(paths), 1, None, frames, 200.0, "others")


def read_all(clip: Clip) -> None:
    """(a)."""
    for path in clip.frames:  # type: ignore[union-attr]
        cv2.imread(str(path))


def read_needed(clip: Clip) -> None:
    """(b)."""
    for index in np.rint(np.linspace(0, len(clip.frames) - 1, 16)).astype(int):
        cv2.imread(str(clip.frames[index]))  # type: ignore[index]


def ours(clip: Clip) -> None:
    """(c)."""
    process_clip(clip, [DEFAULT])


def ours_written(clip: Clip) -> None:
    """(c+)."""
    write_shard(clip.frames[0].with_suffix(".h5"), process_clip(clip, [DEFAULT])[0], ATTRIBUTES)  # type: ignore[index]


def ours_stabilised(clip: Clip) -> None:
    """(c*)."""
    process_clip(clip, [STABILISED])


def ours_thorough(clip: Clip) -> None:
    """(d)."""
    process_clip(clip, [THOROUGH])


def as_usual(clip: Clip) -> None:
    """(e): every frame decoded and resized, five-level float64 pyramids, lfilter per level, then 16 frames."""
    frames = [cv2.resize(cv2.imread(str(path)), (224, 224)).astype(np.float64) for path in clip.frames]  # type: ignore[union-attr]
    count = len(frames)
    weights = [sum((2 * i - count - 1) / i for i in range(t, count + 1)) for t in range(1, count + 1)]
    pooled = sum(weight * frame for weight, frame in zip(weights, frames, strict=True))
    cv2.normalize(pooled, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    levels: list[list[np.ndarray]] = [[] for _ in range(5)]
    for frame in frames:
        current = frame
        for level in range(4):
            smaller = cv2.pyrDown(current)
            levels[level].append(current - cv2.pyrUp(smaller, dstsize=current.shape[1::-1]))
            current = smaller
        levels[4].append(current)
    b, a = signal.butter(1, [0.4, 4.0], "bandpass", fs=200.0)
    filtered = [20 * signal.lfilter(b, a, np.stack(level), axis=0) for level in levels]
    magnified = []
    for t, frame in enumerate(frames):
        image = filtered[4][t]
        for level in range(3, -1, -1):
            image = filtered[level][t] + cv2.pyrUp(image, dstsize=filtered[level][t].shape[1::-1])
        magnified.append(np.clip(frame + image, 0, 255).astype(np.uint8))
    [magnified[index] for index in np.rint(np.linspace(0, count - 1, 16)).astype(int)]


def public_packages() -> dict[str, Callable[[Clip], None]]:
    """(f): public packages that are installed. Each decodes and resizes all frames, then magnifies them."""
    try:
        magnify = importlib.import_module("eulerian_magnification.base").eulerian_magnification
    except ImportError:
        print("not installed, so not measured: eulerian-magnification", file=sys.stderr)
        return {}

    def run(clip: Clip) -> None:
        images = [cv2.resize(cv2.imread(str(path)), (224, 224)) for path in clip.frames]  # type: ignore[union-attr]
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            magnify(np.stack(images) / 255, 200, freq_min=0.4, freq_max=4, amplification=20, pyramid_levels=5)

    return {"f eulerian-magnification 0.22": run}


CONTENDERS: dict[str, Callable[[Clip], None]] = {
    "a imread, all frames": read_all,
    "b imread, needed frames": read_needed,
    "c ours": ours,
    "c+ ours, written": ours_written,
    "c* ours, stabilised": ours_stabilised,
    "d ours, explicit": ours_thorough,
    "e per-level, as usual": as_usual,
}
