"""Cache to device: pixels travel and wait as bytes, and become numbers where they are used."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data_cache.commandline import progress
from data_cache.errors import UsageError
from train.clips import ClipSet
from train.model.mpt import Inputs
from train.model.tokenizer import PATCH, patchify

IMAGE_FIELDS = {"dynamic": "dynamic_image", "onset": "motion"}


class DeviceStream:
    """The whole cache in the memory of the device, read once.

    Motion is kept cut into patches, so that a step only selects and expands.

    Args:
        clips: all clips of the run.
        used: the clips that are needed; others are not read.
        image: "dynamic", or "onset" for the onset frame (the first motion frame, which the causal
            additive filter leaves untouched).
        needs_motion: whether the model looks at the motion sequence.
        device: where to.

    Raises:
        UsageError: onset frames are asked for, and the recipe changed them.
    """

    def __init__(
        self, clips: ClipSet, used: Sequence[int], image: str, needs_motion: bool, device: torch.device
    ) -> None:
        if image == "onset":
            check_onset_frames(clips)
        self.device = device
        self.place = np.full(len(clips), -1)
        self.place[list(used)] = np.arange(len(used))
        shape = (clips.size, clips.size, 3)
        images = torch.empty((len(used), *shape), dtype=torch.uint8)
        cut = (clips.frames, (clips.size // PATCH) ** 2, PATCH * PATCH * 3)
        patches = torch.empty((len(used), *cut), dtype=torch.uint8) if needs_motion else None
        motion = np.empty((1, clips.frames, *shape), np.uint8)
        with progress("reading the cache", len(used), "clips") as advance:
            for row, clip in enumerate(used):
                if needs_motion or image == "onset":
                    clips.read_into("motion", [clip], motion)
                if image == "onset":
                    images[row] = torch.from_numpy(motion[0, 0])
                else:
                    clips.read_into("dynamic_image", [clip], images[row : row + 1].numpy())
                if patches is not None:
                    patches[row] = patchify(torch.from_numpy(motion[0]))
                advance(1, "")
        self.images = images.to(device)
        self.patches = None if patches is None else patches.to(device)

    def inputs(self, clips: np.ndarray) -> Inputs:
        """The inputs of one step; `clips` is (F, B), indices of clips."""
        rows = self.place[clips]
        unique, index = np.unique(rows, return_inverse=True)
        patches = None
        if self.patches is not None:
            selected = self.patches.index_select(0, self._to_device(rows.ravel()))
            patches = selected.view(*rows.shape, *self.patches.shape[1:])  # (F, B, T, n, 768)
        return Inputs(
            images=self.images.index_select(0, self._to_device(unique)),
            index=self._to_device(index.reshape(rows.shape)),
            patches=patches,
        )

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)


def check_onset_frames(clips: ClipSet) -> None:
    """Refuse caches whose first motion frame is not the onset frame.

    Raises:
        UsageError: as said.
    """
    recipe = clips.readers[0].attributes.recipe
    if recipe.get("filter") != "causal" or recipe.get("motion_form") != "additive":
        raise UsageError(
            f"--image onset needs a cache made with --filter causal --motion-form additive, which keep the onset frame "
            f"as it is; this one has {recipe.get('filter')} and {recipe.get('motion_form')}"
        )
