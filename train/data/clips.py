"""One or several caches as one list of clips, checked to fit together, and the pixels of single clips as tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_cache.errors import UsageError
from data_cache.protocols.protocol import ClipKey
from data_cache.read.reader import CacheReader
from data_cache.read.validate import require_valid
from train.config import TrainConfig
from train.data.augment import AUGMENTATIONS
from train.model.tokenizer import patchify


@dataclass(frozen=True)
class ClipSet:
    """The clips of all caches of a run, in the order of the caches.

    Attributes:
        rows: for each clip, which reader and which row of it.
        keys: (data set, subject, clip) of each clip.
    """

    readers: tuple[CacheReader, ...]
    rows: tuple[tuple[int, int], ...]
    keys: tuple[ClipKey, ...]
    emotions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def frames(self) -> int:
        """T."""
        return self.readers[0].frames

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.readers[0].size

    @property
    def datasets(self) -> list[str]:
        """Data set of each clip."""
        return [key[0] for key in self.keys]

    def read(self, field: str, clip: int) -> np.ndarray:
        """Image field `field` of a clip: (S, S, 3) or (T, S, S, 3) uint8."""
        reader, row = self.rows[clip]
        return self.readers[reader].read(field, row)

    def require_unchanged(self) -> None:
        """Make sure that the caches are still the files that were opened; a StaleFile if one was replaced."""
        for reader in self.readers:
            reader.require_unchanged()

    def onset_frame(self, clip: int) -> np.ndarray | None:
        """The onset frame of a clip, (S, S, 3) uint8: as stored, or the first motion frame if it is that; else None."""
        number, row = self.rows[clip]
        reader = self.readers[number]
        if not reader.has_onset_frames and reader.attributes.stored_recipe.keeps_onset_frame:
            return reader.motion(row)[0].copy()
        return reader.onset_frame(row)


def open_clips(paths: Sequence[Path]) -> ClipSet:
    """Open caches that are to be trained on together.

    Raises:
        UsageError: a file is missing, or two caches hold the same data set or differ in recipe.
        InvalidFile: a file is no valid cache.
    """
    readers = [CacheReader(path) for path in paths]
    for reader in readers:
        require_valid(reader, pixels=False)  # the pixels of a clip are checked when it is read first
    first = readers[0]
    for reader in readers[1:]:
        differing = first.attributes.stored_recipe.changes_to(reader.attributes.stored_recipe)
        if differing:
            raise UsageError(
                f"{first.path} and {reader.path} were made with different recipes ({'; '.join(differing)}); "
                "make them with the same options of mpt-preprocess"
            )
    names = [reader.attributes.dataset for reader in readers]
    if len(set(names)) != len(names):
        raise UsageError(f"two of the caches hold the same data set ({', '.join(names)}); give each set once")
    places = [(number, row) for number, reader in enumerate(readers) for row in range(len(reader))]
    return ClipSet(
        readers=tuple(readers),
        rows=tuple(places),
        keys=tuple((names[n], readers[n].clips.subject[row], readers[n].clips.clip[row]) for n, row in places),
        emotions=tuple(readers[n].clips.emotion[row] for n, row in places),
    )


class ClipPixels(Dataset[tuple[Tensor, Tensor | None]]):
    """Reads one clip at a time, in worker processes too: what a model with these settings looks at, as bytes.

    That is its image (H, W, 3), and its motion (T, n, 768), cut into patches; frames that are still to be augmented
    are left whole, (T, H, W, 3). Motion is None where the model does not look at it.

    Raises:
        UsageError: the onset frame is wanted, and a cache neither has it nor keeps it in its motion.
    """

    def __init__(self, clips: ClipSet, config: TrainConfig) -> None:
        self.clips, self.image, self.needs_motion = clips, config.image, config.needs_motion
        self.whole_frames = AUGMENTATIONS[config.augment] is not None
        for reader in clips.readers if self.image == "onset" else ():
            recipe = reader.attributes.stored_recipe
            if not reader.has_onset_frames and not recipe.keeps_onset_frame:
                raise UsageError(
                    f"--image onset needs the onset frame, which {reader.path} (format 1.0, recipe of "
                    f"{' and '.join(map(str, recipe.filtering))}) lacks; make it anew with mpt-preprocess … --force"
                )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, clip: int) -> tuple[Tensor, Tensor | None]:
        onset = self.clips.onset_frame(clip) if self.image == "onset" else None
        image = torch.from_numpy(self.clips.read("dynamic_image", clip) if onset is None else onset)
        if not self.needs_motion:
            return image, None
        motion = torch.from_numpy(self.clips.read("motion", clip))
        return image, motion if self.whole_frames else patchify(motion)

    def read(self, clips: Iterable[int]) -> tuple[Tensor, Tensor | None]:
        """Several clips: images (U, H, W, 3) and motion (U, T, …) or None."""
        pairs = [self[int(clip)] for clip in clips]
        motion = [moving for _, moving in pairs if moving is not None]
        return torch.stack([image for image, _ in pairs]), torch.stack(motion) if motion else None

    @property
    def bytes_per_clip(self) -> int:
        """Bytes that a clip takes in memory: the image, and the motion if it is needed."""
        return 3 * self.clips.size**2 * (1 + self.clips.frames * self.needs_motion)
