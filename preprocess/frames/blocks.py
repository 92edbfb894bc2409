"""How visible the blocks of JPEG or video compression are in frames: what magnifies motion magnifies them too."""

from collections.abc import Sequence

import numpy as np

from data_cache.filters import LUMINANCE
from preprocess.clip import Clip, ClipError
from preprocess.frames.read import read_frames

BLOCKS = 1.25
"""Blockiness to speak of. Frames of the demo have 1.0 as PNG, 1.1 to 1.2 as JPEG of quality 95 to 85, 1.3 at 75 and 1.9
at 30; two filmed faces in H.264 have 1.1 to 1.2."""
SAMPLED = 5  # clips of which one frame is looked at


def blockiness(image: np.ndarray) -> float:
    """How much larger the steps at every eighth pixel are than the others, wherever the eights begin; 1 without blocks.

    Args:
        image: (H, W, 3), RGB.
    """
    grey = image @ np.array(LUMINANCE, np.float32)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(1 - axis)
        phases = [float(steps[start::8].mean()) for start in range(min(8, len(steps)))]
        ratios.append(max(phases, default=0) / max(float(np.median(phases or [0])), 0.1))
    return max(float(np.mean(ratios)), 1.0)


def block_notes(clips: Sequence[Clip], blur: float = 0.0) -> list[str]:
    """A sentence if the frames of these clips, looked at in a few of them, show blocks and no `blur` hides them."""
    if blur:
        return []
    found = []
    for number in np.unique(np.linspace(0, len(clips) - 1, min(SAMPLED, len(clips))).astype(int)):
        clip = clips[number]
        try:
            found += [blockiness(image) for _, image in read_frames(clip.frames, [len(clip.frames) // 2])]
        except ClipError:  # said elsewhere
            continue
    if not found or (usual := float(np.median(found))) <= BLOCKS:
        return []
    return [f"JPEG blocks are magnified: steps at every 8th pixel are {usual:.1f} × the others; try --blur 1"]
