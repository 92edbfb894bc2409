"""One clip in, its cache records out: the work of one worker."""

from collections.abc import Sequence

import cv2
import numpy as np

from data_cache.schema import ClipRecord
from preprocess.clip import Clip, ClipError
from preprocess.faces import FaceCrop, crop_for
from preprocess.frames.read import read_frames, resize
from preprocess.motion.magnify import quantise, render, stabilised
from preprocess.motion.stabilise import NUISANCES
from preprocess.motion.temporal import TemporalPlan, temporal_plan
from preprocess.recipe import Recipe


def process_clip(clip: Clip, recipes: Sequence[Recipe]) -> list[ClipRecord]:
    """Decode a clip once and render it with each recipe; the recipes differ in α alone.

    Raises:
        ClipError: the frames cannot be read, no face is found in them, or the recipe needs an apex that is not
            annotated.
    """
    cv2.setNumThreads(1)  # workers share the cores; more threads inside each only get in the way
    plan = plan_for(clip, recipes[0])
    standard = standardise(clip, plan, recipes[0].size, crop_for(clip, recipes[0]), NUISANCES[recipes[0].stabilise])
    extended, operators = stabilised(standard, plan, recipes[0])
    onset_frame = quantise(standard[0])[0]
    return [
        ClipRecord(
            subject=clip.subject,
            clip=clip.clip,
            emotion=clip.emotion,
            onset=clip.onset,
            apex=-1 if clip.apex is None else clip.apex,
            offset=clip.offset,
            n_frames=len(clip.frames),
            fps=clip.fps,
            onset_frame=onset_frame,
            **vars(render(extended, operators, recipe)),
        )
        for recipe in recipes
    ]


def plan_for(clip: Clip, recipe: Recipe) -> TemporalPlan:
    """The temporal matrices of a clip; a `ClipError` where the recipe pools up to an apex that it does not have."""
    if recipe.rank_pool_span == "clip":
        return temporal_plan(len(clip.frames), clip.fps, recipe)
    index = clip.apex_index
    if index is None or not 0 <= index < len(clip.frames):
        found = "is not annotated" if index is None else f"({clip.apex}) lies outside {clip.onset}–{clip.offset}"
        raise ClipError(f"its apex {found}, which --rank-pool-span onset-apex needs; use --rank-pool-span clip")
    return temporal_plan(len(clip.frames), clip.fps, recipe, index)


def standardise(clip: Clip, plan: TemporalPlan, size: int, crop: FaceCrop | None = None, room: int = 0) -> np.ndarray:
    """The clip as T frames of size×size: (T, S, S, 3) float32, 0..255 (paper, IV-A), and `room` empty ones after.

    Every frame is cropped alike, if at all. Native frames are added to the samples that use them as
    they are decoded, so memory does not depend on the length of the clip.
    """
    samples = np.zeros((len(plan.sampling) + room, size, size, 3), np.float32)
    for index, image in read_frames(clip.frames, plan.needed_frames):
        image = crop(image) if crop else image
        weights = plan.sampling[:, index]
        users = np.flatnonzero(weights)
        if len(users) == 1 and weights[users[0]] == 1:
            resize(image, size, out=samples[users[0]])
            continue
        frame = resize(image, size)
        for t in users:
            samples[t] += np.float32(weights[t]) * frame
    return samples
