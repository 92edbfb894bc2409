"""A group of folds, trained together, tested after every epoch, and kept on disk while it trains."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from safetensors import SafetensorError

from data_cache.errors import InvalidFile, NoSpace
from train.config import TrainConfig
from train.data.folds import Fold
from train.data.stream import Stream
from train.data.task import Task
from train.loop import EpochReport, FoldData, Progress, fit, predict, require_finite
from train.model.mpt import MPT
from train.results.fold_record import FoldResult
from train.results.unfinished import read_state, write_state
from train.trace import trace_clips

log = logging.getLogger(__name__)


class Keeper:
    """Keeps the state of a group on disk: every few minutes, and when it shall stop; then it interrupts.

    Args:
        about: what the state is of: `folds`, `epochs`, and whatever else it must not be mixed up in.
        minutes: between two writes.
        stop: set when the work shall stop.

    Attributes:
        kept: what the file holds, in words; empty where there is none.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], minutes: float, stop: Event) -> None:
        self.path, self.about, self.seconds, self.stop = path, about, 60 * minutes, stop
        self.kept, self.due = "", time.monotonic() + self.seconds

    def start(self) -> dict[str, np.ndarray] | None:
        """The state to go on from, if there is one."""
        stored = read_state(self.path, self.about)
        if stored is not None:
            self.kept = self._words(int(stored["epoch"][0]), len(stored.get("sums", ())))
            log.info(f"going on from {self.kept}")
        return stored

    def after_step(self, progress: Progress, more: Callable[[], Mapping[str, np.ndarray]] = dict) -> None:
        """Keep `progress` and `more` if it is time.

        Raises:
            KeyboardInterrupt: the work shall stop.
        """
        stop = self.stop.is_set()
        if not stop and time.monotonic() < self.due:
            return
        try:
            write_state(self.path, {**progress.arrays(), **more()}, self.about)
            self.kept = self._words(progress.epoch, len(progress.sums))
        except (OSError, NoSpace, SafetensorError) as error:
            log.info(f"the folds in training cannot be kept ({error})")
        self.due = time.monotonic() + self.seconds
        if stop:
            raise KeyboardInterrupt

    def forget(self) -> None:
        """Remove the file: the group is done, or is no more."""
        self.path.unlink(missing_ok=True)
        self.kept = ""

    def _words(self, epoch: int, steps: int) -> str:
        beyond = f" and {steps} step{'s' * (steps > 1)} beyond" if steps else ""
        return f"epoch {epoch} of {self.about['epochs']} of {len(self.about['folds'])} folds{beyond}"


def train_group(
    task: Task,
    group: Sequence[Fold],
    config: TrainConfig,
    model: MPT,
    stream: Stream,
    on_epoch: Callable[[EpochReport, float], None],
    keeper: Keeper,
) -> list[FoldResult]:
    """Train the folds of `group`, which are those of `model`.

    Test clips are predicted after every epoch, which feeds nothing back: `fit` gets training clips only.

    Args:
        on_epoch: called with the report of each epoch and the clips per second so far.
        keeper: keeps the state, and has that of an earlier attempt to go on from.
    """
    tests = [np.array(fold.test) for fold in group]
    start = keeper.start()
    earlier: Mapping[str, Any] = {"curves": (), "predicted": (), "seconds": (0.0,)} if start is None else start
    curves: list[np.ndarray] = list(earlier["curves"])  # (2, F) of each epoch: loss and accuracy
    predicted: list[np.ndarray] = list(earlier["predicted"])  # classes after each epoch, fold after fold
    logits: list[np.ndarray] = []
    started = time.monotonic() - float(earlier["seconds"][0])

    def history() -> dict[str, np.ndarray]:
        seconds = np.array([time.monotonic() - started])
        return {"curves": np.array(curves), "predicted": np.array(predicted), "seconds": seconds}

    def after_epoch(report: EpochReport) -> None:
        logits[:] = predict(model, stream, tests, config)
        require_finite(report, logits, [fold.name for fold in group], config)
        stream.require_unchanged()
        curves.append(np.stack([report.loss, report.accuracy]))
        predicted.append(np.concatenate([each.argmax(1) for each in logits]))
        on_epoch(report, report.clips * report.epoch / (time.monotonic() - started))

    data = [
        FoldData(np.array(fold.train), task.labels(fold.train, fold.shuffle), fold.seed(config.seed)) for fold in group
    ]
    try:
        fit(model, stream, data, config, after_epoch, lambda progress: keeper.after_step(progress, history), start)
        traces = trace_clips(model, stream, tests, config)
    except InvalidFile:
        stream.require_unchanged()  # a file that was cut while it is read looks damaged
        raise
    stream.require_unchanged()
    seconds = (time.monotonic() - started) / len(group)
    of_folds = np.split(np.stack(predicted), np.cumsum([len(clips) for clips in tests])[:-1], 1)
    losses, accuracies = np.stack(curves, 1)  # (epochs, F) each
    return [
        FoldResult(
            name=fold.name,
            keys=tuple(task.clips.keys[clip] for clip in fold.test),
            true=task.labels(fold.test, fold.shuffle),
            logits=logits[f],
            epoch_predictions=of_folds[f],
            loss=tuple(losses[:, f].tolist()),
            accuracy=tuple(accuracies[:, f].tolist()),
            train_clips=len(fold.train),
            seed=fold.seed(config.seed),
            seconds=seconds,
            traces=traces[f],
        )
        for f, fold in enumerate(group)
    ]


class Scalars:
    """Writes loss and accuracy of every epoch for TensorBoard; does nothing where it is not installed."""

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
