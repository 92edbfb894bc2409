"""All that there is to see of one clip, before and after preprocessing."""

from dataclasses import dataclass

import numpy as np

from preprocess.clip import Clip
from preprocess.faces.choose import crop_for
from preprocess.frames.read import read_frames
from preprocess.frames.resize import resize
from preprocess.motion.magnify import Rendered, quantise, render
from preprocess.motion.temporal import TemporalPlan
from preprocess.pipeline import plan_for, standardise
from preprocess.recipe import Recipe


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
