"""Features of all clips under one fold's model, for a map that test clips can be found on."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save

from data_cache.files.atomic import write_bytes
from train.config import TrainConfig
from train.data.folds import Fold
from train.data.stream import Stream
from train.data.task import Task
from train.model.mpt import MPT
from train.trace import trace_clips


def overview_fold(task: Task) -> int:
    """The fold whose model draws the overview: the one with the most test clips."""
    return max(range(len(task.folds.folds)), key=lambda f: len(task.folds.folds[f].test))


def write_overview(path: Path, task: Task, group: list[Fold], model: MPT, stream: Stream, config: TrainConfig) -> None:
    """If the overview's fold is in `group`, store the features of all clips under its model.

    The file holds `features` (clips, D), `labels` (clips,), `test` (clips,) 0 or 1, and `fold` (1,), its
    number among all folds.
    """
    number = overview_fold(task)
    fold = task.folds.folds[number]
    if fold not in group:
        return
    clips = np.array(sorted((*fold.train, *fold.test)))
    wanted = [clips if other == fold else clips[:1] for other in group]
    features = trace_clips(model, stream, wanted, config)[group.index(fold)]["features"]
    arrays = {
        "features": features,
        "labels": task.labels(clips.tolist()),
        "test": np.isin(clips, fold.test).astype(np.uint8),
        "fold": np.array([number]),
    }
    write_bytes(path, save(arrays))
