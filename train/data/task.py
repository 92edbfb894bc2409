"""The classification task of a run: clips, their classes, and the folds."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_cache.digest import digest
from data_cache.errors import UsageError
from data_cache.protocols.protocol import Labelling, apply_protocol, count_differences
from data_cache.protocols.published import choose_protocol
from data_cache.read.reader import CacheReader
from train.config import TrainConfig
from train.data.clips import ClipSet, open_clips
from train.data.folds import LOSO, Fold, Split, choose_split, unused_subjects
from train.model.build import Shape

log = logging.getLogger(__name__)


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
