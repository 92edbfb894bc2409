"""The classification task of a run: clips, their classes, and the folds."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_cache.protocols.choose import choose_protocol
from data_cache.protocols.protocol import Labelling, apply_protocol, count_differences
from train.data.clips import ClipSet, open_clips
from train.data.folds import Folds, loso_folds
from train.model.build import Shape

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What is to be learned."""

    clips: ClipSet
    protocol: str
    labelling: Labelling
    folds: Folds

    @property
    def shape(self) -> Shape:
        """Classes, frames and size."""
        return Shape(len(self.labelling.classes), self.clips.frames, self.clips.size)

    def labels(self, clips: Sequence[int]) -> np.ndarray:
        """Classes of some clips."""
        return np.array([self.labelling.labels[clip] for clip in clips], np.int64)


def make_task(caches: Sequence[Path], protocol_name: str | None) -> Task:
    """Open the caches and divide them into folds; say what is left out and why.

    Raises:
        UsageError: the caches do not fit together, or the protocol does not fit them.
        InvalidFile: a cache is damaged.
    """
    clips = open_clips(caches)
    protocol = choose_protocol(protocol_name, clips.datasets, clips.emotions)
    labelling = apply_protocol(protocol, list(zip(clips.keys, clips.emotions, strict=True)))
    folds = loso_folds(clips.datasets, clips.subjects, labelling.labels)
    for reason, count in labelling.left_out.items():
        log.info(f"left out, {count} clips: {reason}")
    for difference in count_differences(protocol, labelling.counts, set(clips.keys)):
        log.info(f"note: {difference}")
    if folds.unused_subjects:
        log.info(f"subjects without a clip of these classes: {', '.join(folds.unused_subjects)}")
    return Task(clips, protocol.name, labelling, folds)
