"""A group of folds, trained together and tested after every epoch."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.errors import InvalidFile
from train.config import TrainConfig
from train.data.folds import Fold
from train.data.stream import Stream
from train.data.task import Task
from train.loop import EpochReport, FoldData, fit, predict, require_finite
from train.model.mpt import MPT
from train.results.fold_record import FoldResult
from train.trace import trace_clips


def train_group(
    task: Task,
    group: Sequence[Fold],
    config: TrainConfig,
    model: MPT,
    stream: Stream,
    on_epoch: Callable[[EpochReport, float], None],
) -> list[FoldResult]:
    """Train the folds of `group`, which are those of `model`.

    Test clips are predicted after every epoch, which feeds nothing back: `fit` gets training clips only.

    Args:
        model: as many folds, on the stream's device.
        stream: serves pixels.
        on_epoch: called with the report of each epoch and the clips per second so far.
    """
    tests = [np.array(fold.test) for fold in group]
    reports: list[EpochReport] = []
    logits: list[list[np.ndarray]] = []
    started = time.monotonic()

    def after_epoch(report: EpochReport) -> None:
        reports.append(report)
        logits.append(predict(model, stream, tests, config))
        require_finite(report, logits[-1], [fold.name for fold in group], config)
        stream.require_unchanged()
        on_epoch(report, report.clips * report.epoch / (time.monotonic() - started))

    data = [
        FoldData(np.array(fold.train), task.labels(fold.train, fold.shuffle), fold.seed(config.seed)) for fold in group
    ]
    try:
        fit(model, stream, data, config, after_epoch)
        traces = trace_clips(model, stream, tests, config)
    except InvalidFile:
        stream.require_unchanged()  # a file that was cut while it is read looks damaged
        raise
    stream.require_unchanged()
    seconds = (time.monotonic() - started) / len(group)
    return [
        FoldResult(
            name=fold.name,
            keys=tuple(task.clips.keys[clip] for clip in fold.test),
            true=task.labels(fold.test, fold.shuffle),
            logits=logits[-1][f],
            epoch_predictions=np.stack([epoch[f].argmax(1) for epoch in logits]),
            loss=tuple(float(report.loss[f]) for report in reports),
            accuracy=tuple(float(report.accuracy[f]) for report in reports),
            train_clips=len(fold.train),
            seed=fold.seed(config.seed),
            seconds=seconds,
            traces=traces[f],
        )
        for f, fold in enumerate(group)
    ]


class Scalars:
    """Writes loss and accuracy of every epoch for TensorBoard; does nothing where it is not installed.

    Args:
        rank: number of this process, to keep their files apart.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self.writer = SummaryWriter(str(folder / "tensorboard" / f"rank{rank}"))

    def write(self, report: EpochReport, names: list[str], clips_per_second: float) -> None:
        """One epoch of a group of folds."""
        if self.writer is None:
            return
        for name, loss, accuracy in zip(names, report.loss, report.accuracy, strict=True):
            self.writer.add_scalar(f"loss/{name}", loss, report.epoch)
            self.writer.add_scalar(f"train accuracy/{name}", accuracy, report.epoch)
        self.writer.add_scalar(f"clips per second/{names[0]}", clips_per_second, report.epoch)
        self.writer.flush()
