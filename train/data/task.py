"""The classification task of a run: its clips, of one or several caches, their classes, their pixels, and the folds."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_cache.digest import digest
from data_cache.errors import UsageError
from data_cache.protocols.protocol import ClipKey, Labelling, apply_protocol, count_differences
from data_cache.protocols.published import choose_protocol
from data_cache.read.reader import CacheReader
from data_cache.read.validate import require_valid
from train.config import TrainConfig
from train.data.augment import AUGMENTATIONS
from train.data.folds import LOSO, Fold, Split, choose_split, unused_subjects
from train.model.build import Shape
from train.model.tokenizer import patchify

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipSet:
    """The clips of all caches of a run, in the order of the caches.

    Attributes:
        rows: for each clip, its reader and which row of it.
        keys: (data set, subject, clip) of each clip.
    """

    readers: tuple[CacheReader, ...]
    rows: tuple[tuple[CacheReader, int], ...]
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
        return reader.read(field, row)

    def require_unchanged(self) -> None:
        """Make sure that the caches are still the files that were opened; a StaleFile if one was replaced."""
        for reader in self.readers:
            reader.require_unchanged()

    def onset_frame(self, clip: int) -> np.ndarray | None:
        """The onset frame of a clip, (S, S, 3) uint8: as stored, or the first motion frame if it is that; else None."""
        reader, row = self.rows[clip]
        if not reader.has_onset_frames and reader.attributes.stored_recipe.keeps_onset_frame:
            return reader.motion(row)[0].copy()
        return reader.onset_frame(row)


def open_clips(paths: Sequence[Path]) -> ClipSet:
    """Open caches that are to be trained on together.

    Raises:
        UsageError: a file is missing, or two caches hold the same data set or differ in recipe.
        InvalidFile: a file is no valid cache.
    """
    first, *others = readers = [CacheReader(path) for path in paths]
    for reader in readers:
        require_valid(reader, pixels=False)  # the pixels of a clip are checked when it is read first
    for reader in others:
        if differing := first.attributes.stored_recipe.changes_to(reader.attributes.stored_recipe):
            raise UsageError(
                f"{first.path} and {reader.path} were made with different recipes ({'; '.join(differing)}); "
                "make them with the same options of mpt-preprocess"
            )
    names = [reader.attributes.dataset for reader in readers]
    if len(set(names)) != len(names):
        raise UsageError(f"two of the caches hold the same data set ({', '.join(names)}); give each set once")
    rows = [(reader, row) for reader in readers for row in range(len(reader))]
    keys = [(reader.attributes.dataset, reader.clips.subject[row], reader.clips.clip[row]) for reader, row in rows]
    return ClipSet(tuple(readers), tuple(rows), tuple(keys), tuple(reader.clips.emotion[row] for reader, row in rows))


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
        for reader in clips.readers:
            recipe = reader.attributes.stored_recipe
            if self.image == "onset" and not (reader.has_onset_frames or recipe.keeps_onset_frame):
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
        images, motion = zip(*(self[int(clip)] for clip in clips), strict=True)
        return torch.stack(images), torch.stack(motion) if self.needs_motion else None

    @property
    def bytes_per_clip(self) -> int:
        """Bytes that a clip takes in memory: the image, and the motion if it is needed."""
        return 3 * self.clips.size**2 * (1 + self.clips.frames * self.needs_motion)


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes:
        recipes: the same clips, made with other recipes: for the probe.
    """

    clips: ClipSet
    protocol: str
    labelling: Labelling
    split: Split
    folds: tuple[Fold, ...]
    recipes: tuple[ClipSet, ...] = ()

    @property
    def readers(self) -> list[CacheReader]:
        """All caches."""
        return [reader for clips in (self.clips, *self.recipes) for reader in clips.readers]

    @property
    def shape(self) -> Shape:
        """Classes, frames and size."""
        return Shape(len(self.labelling.classes), self.clips.frames, self.clips.size)

    @property
    def division(self) -> str | None:
        """Digest of who is tested in which fold; None for leave-one-subject-out, where the folds' names say it."""
        if self.split is LOSO:
            return None
        return digest({fold.name: [self.clips.keys[clip] for clip in fold.test] for fold in self.folds})

    def labels(self, clips: Sequence[int], shuffle: int = 0) -> np.ndarray:
        """Classes of some clips; with a number, after a shuffle within subjects that it decides."""
        labels = np.array(self.labelling.labels, np.int64)
        if shuffle:
            rng = np.random.default_rng(shuffle)
            persons = np.array(["/".join(key[:2]) for key in self.clips.keys])
            for person in sorted(set(persons)):
                members = np.flatnonzero((persons == person) & (labels >= 0))
                labels[members] = rng.permutation(labels[members])
        return np.asarray(labels[list(clips)])


def make_task(caches: Sequence[Path], config: TrainConfig) -> Task:
    """Open the caches and divide them into folds by the settings' protocol and split; say what is left out and why.

    Raises:
        UsageError: the caches do not fit together, or the protocol or the split does not fit them.
        InvalidFile: a cache is damaged.
    """
    clips, *recipes = map(open_clips, _by_recipe(caches) if config.tuning == "probe" else [caches])
    if any(other.keys != clips.keys for other in recipes):
        raise UsageError("the caches of several recipes hold different clips; make them of the same ones")
    protocol = choose_protocol(config.protocol, clips.datasets, clips.emotions)
    labelling = apply_protocol(protocol, list(zip(clips.keys, clips.emotions, strict=True)))
    labels = {clip: label for clip, label in enumerate(labelling.labels) if label >= 0}
    split = choose_split(config, protocol, [clips.keys[clip] for clip in labels])
    folds = split.divide(dict(enumerate(clips.keys)), labels)
    for reason, count in labelling.left_out.items():
        log.info(f"left out, {count} clips: {reason}")
    for difference in count_differences(protocol, labelling.counts, set(clips.keys)):
        log.info(f"note: {difference}")
    if unused := unused_subjects(clips.keys, labelling.labels):
        log.info(f"subjects without a clip of these classes: {', '.join(unused)}")
    return Task(clips, protocol.name, labelling, split, folds, tuple(recipes))


def _by_recipe(caches: Sequence[Path]) -> list[tuple[Path, ...]]:
    """The first cache of each data set, then the second of each, and so on."""
    found: dict[str, list[Path]] = {}
    for cache in caches:
        found.setdefault(CacheReader(cache).attributes.dataset, []).append(cache)
    if len({len(each) for each in found.values()}) > 1:
        raise UsageError(f"some data sets have more caches than others ({', '.join(found)}); give one for each recipe")
    return list(zip(*found.values(), strict=True))
