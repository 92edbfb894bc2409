"""The pixels of single clips as tensors, from whichever cache they are in; usable in worker processes."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_cache.errors import UsageError
from train.config import TrainConfig
from train.data.clips import ClipSet
from train.model.tokenizer import PATCH, patchify


class ClipPixels(Dataset[tuple[Tensor, Tensor | None]]):
    """Reads one clip at a time: its image (H, W, 3) and its motion, both uint8.

    Motion is (T, n, 768), cut into patches, or (T, H, W, 3) with `whole_frames`, or None.

    Args:
        clips: all clips of the run.
        image: "dynamic", or "onset" for the onset frame: the first motion frame, which the causal
            additive filter leaves untouched.
        needs_motion: whether the model looks at the motion sequence.
        whole_frames: leave frames whole, because they are still to be changed.

    Raises:
        UsageError: onset frames are asked for, and the recipe changed them.
    """

    def __init__(self, clips: ClipSet, image: str, needs_motion: bool, whole_frames: bool = False) -> None:
        self.clips, self.image = clips, image
        self.needs_motion, self.whole_frames = needs_motion, whole_frames
        if image == "onset":
            check_onset_frames(clips)

    @classmethod
    def of(cls, clips: ClipSet, config: TrainConfig, whole_frames: bool = False) -> "ClipPixels":
        """What a model with these settings looks at."""
        return cls(clips, config.image, config.prompt == "motion", whole_frames)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, clip: int) -> tuple[Tensor, Tensor | None]:
        motion = self._read("motion", clip) if self.needs_motion or self.image == "onset" else None
        image = motion[0].clone() if self.image == "onset" and motion is not None else self._read("dynamic_image", clip)
        if not self.needs_motion or motion is None:
            return image, None
        return image, motion if self.whole_frames else patchify(motion)

    def read(self, clips: Iterable[int]) -> tuple[Tensor, Tensor | None]:
        """Several clips: images (U, H, W, 3) and motion (U, T, …) or None."""
        pairs = [self[int(clip)] for clip in clips]
        motion = [moving for _, moving in pairs if moving is not None]
        return torch.stack([image for image, _ in pairs]), torch.stack(motion) if motion else None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return self.clips.image_shape("dynamic_image")

    @property
    def motion_shape(self) -> tuple[int, ...]:
        """Shape of a clip's motion."""
        if self.whole_frames:
            return self.clips.image_shape("motion")
        return (self.clips.frames, (self.clips.size // PATCH) ** 2, 3 * PATCH * PATCH)

    @property
    def bytes_per_clip(self) -> int:
        """Bytes that a clip takes in memory."""
        return int(np.prod(self.image_shape) + (np.prod(self.motion_shape) if self.needs_motion else 0))

    def _read(self, field: str, clip: int) -> Tensor:
        out = np.empty((1, *self.clips.image_shape(field)), np.uint8)
        self.clips.read_into(field, [clip], out)
        return torch.from_numpy(out[0])


def check_onset_frames(clips: ClipSet) -> None:
    """Refuse caches whose first motion frame is not the onset frame.

    Raises:
        UsageError: as said.
    """
    recipe = clips.readers[0].attributes.recipe
    if recipe.get("filter") != "causal" or recipe.get("motion_form") != "additive":
        raise UsageError(
            "--image onset needs a cache made with --filter causal --motion-form additive, which keep the onset frame "
            f"as it is; this one has {recipe.get('filter')} and {recipe.get('motion_form')}"
        )
