"""Independent calculations and hand-made inputs that several test files compare with."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import official_sets as official
from scipy import signal

from preprocess.clip import Clip
from preprocess.datasets.casme2 import casme2
from preprocess.motion.magnify import level_gains
from preprocess.recipe import Recipe


def equations(clip: np.ndarray, recipe: Recipe, rate: float, band: tuple[float, float]) -> np.ndarray:
    """Eq. 4 to 7, level by level and in float64; shares no code with the product."""
    gains = level_gains(recipe, clip.shape[1:3])
    levels: list[list[np.ndarray]] = [[] for _ in range(recipe.levels)]
    for frame in clip.astype(np.float64):
        current = frame
        for level in range(recipe.levels - 1):
            smaller = cv2.pyrDown(current)
            levels[level].append(current - cv2.pyrUp(smaller, dstsize=current.shape[1::-1]))
            current = smaller
        levels[-1].append(current)
    moved = []
    for band_frames, gain in zip(levels, gains, strict=True):
        x = np.stack(band_frames)
        if recipe.filter == "filtfilt":
            sos = signal.butter(recipe.order, band, "bandpass", fs=rate, output="sos")
            filtered = signal.sosfiltfilt(sos, x, axis=0, padlen=min(9, len(x) - 1))  # scipy's 9 where there is room
        elif recipe.filter == "causal":
            sos = signal.butter(recipe.order, band, "bandpass", fs=rate, output="sos")
            start = signal.sosfilt_zi(sos).reshape(len(sos), 2, *[1] * (x.ndim - 1)) * x[0]
            filtered = signal.sosfilt(sos, x, axis=0, zi=start)[0]
        else:
            parts = []
            for cut in band[::-1]:
                b, a = signal.butter(recipe.order, cut, fs=rate)
                start = signal.lfilter_zi(b, a).reshape(-1, *[1] * (x.ndim - 1)) * x[0]
                parts.append(signal.lfilter(b, a, x, axis=0, zi=start)[0])
            filtered = parts[0] - parts[1]
        moved.append(filtered * gain)
    out = []
    for t in range(len(clip)):
        image = moved[-1][t]
        for level in range(recipe.levels - 2, -1, -1):
            image = moved[level][t] + cv2.pyrUp(image, dstsize=moved[level][t].shape[1::-1])
        out.append(image)
    return np.stack(out) + (clip if recipe.motion_form == "additive" else 128.0)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def centroid(channel: np.ndarray) -> tuple[float, float]:
    weights = channel.astype(float)
    rows, columns = np.mgrid[0 : channel.shape[0], 0 : channel.shape[1]] + 0.5
    return float((weights * columns).sum() / weights.sum()), float((weights * rows).sum() / weights.sum())


def raw_clip(root: Path) -> Clip:
    official.casme2_tree(root, official.CASME2[:1], frames="CASME2_RAW_selected")
    return casme2(root).clips[0]
