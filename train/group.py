"""A group of folds, trained together, tested after every epoch, and kept on disk while it trains.

What is kept is in `unfinished/` of the run, which goes when the last fold is done: a file with the state of each group,
and a note of who is in which. What is damaged there, or belongs to something else, is said in one line and not used.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from data_cache import __version__
from data_cache.digest import canonical_json, digest, digest_arrays
from data_cache.errors import InvalidFile, NoSpace
from data_cache.files.atomic import remove_leftovers, replacing, sync
from train.config import Execution, TrainConfig
from train.data.folds import Fold
from train.data.stream import Stream
from train.data.task import Task
from train.device import Ranks
from train.loop import EpochReport, FoldData, Progress, fit, predict, require_finite
from train.model.backbone import Backbone
from train.model.build import build_model
from train.model.weights import build_backbone
from train.results.checkpoint import CheckpointCard, save_fold
from train.results.fold_record import FoldResult, read_record, write_record
from train.results.run_folder import RunFolder
from train.results.summary import keep_copy
from train.trace import shown_fold, trace_clips, write_overview

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """All that the steps of a run share."""

    task: Task
    config: TrainConfig
    execution: Execution
    folder: RunFolder
    backbone: Backbone
    card: CheckpointCard
    device: torch.device
    ranks: Ranks

    def store(self, fold: Fold, result: FoldResult, group: Sequence[Fold], beside: Sequence[Path] = ()) -> None:
        """Write the result of a fold that was trained with those of `group`; of a copy, its confusion matrix alone."""
        if fold.shuffle:
            keep_copy(self.folder, result)
        else:
            self.folder.write_fold(result, [each.name for each in group], beside)


def write_state(path: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Put `arrays` at `path`, with what they are `about` and a hash of it all.

    Where that fails (OSError, NoSpace, SafetensorError), what was there before is still there.
    """
    with replacing(path) as temporary:
        save_file(dict(arrays), temporary, {"about": canonical_json(about), "digest": _digest(about, arrays)})
        sync(temporary)


def read_state(path: Path, about: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """What `write_state` put there; None where there is nothing about just this."""
    remove_leftovers(path)
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            card = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        found = json.loads(card["about"])
        if _digest(found, arrays) != card["digest"]:
            raise ValueError("its digest differs")
        if found == about:
            return arrays
        problem = "belongs to other settings or another group of folds"
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"is damaged ({error})"
    log.info(f"{path} {problem}; its folds start again")
    return None


def _digest(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    content = {name: [str(array.dtype), list(array.shape), digest_arrays([array])] for name, array in arrays.items()}
    return digest({"about": about, "content": content})


class Groups:
    """Which folds are trained together: noted, so that a run that goes on groups them as it did when it began.

    `given` is the number of folds at once that was asked for, or 0; a note with another is not used. `at_once` is what
    was noted, 0 where there is nothing.
    """

    def __init__(self, path: Path, given: int) -> None:
        self.path, self.at_once = path, 0
        self.noted: list[list[str]] = []
        try:
            record: dict[str, Any] = read_record(path) if path.is_file() else {"folds_at_once": 0, "groups": []}
        except InvalidFile as error:
            log.info(f"{error}; folds are grouped anew")
            return
        if given in (0, record["folds_at_once"]):
            self.at_once, self.noted = record["folds_at_once"], record["groups"]

    def plan(self, waiting: Sequence[str], among: Collection[str], at_once: int) -> list[list[str]]:
        """The groups that hold all of `waiting`: those noted that lie within `among`, and the rest by number."""
        again = [group for group in self.noted if set(group) <= set(among) and not set(group).isdisjoint(waiting)]
        left = [name for name in waiting if not any(name in group for group in again)]
        groups = again + [left[start : start + at_once] for start in range(0, len(left), at_once)]
        others = [group for group in self.noted if not any(name in new for new in groups for name in group)]
        self.at_once, self.noted = at_once, others + groups
        write_record(self.path, {"folds_at_once": at_once, "groups": self.noted})
        return groups


class Keeper:
    """Keeps the state of the folds called `names` on disk, every few minutes, and when it shall `stop`.

    `kept` is what the file holds, in words; empty where there is none.
    """

    def __init__(self, job: Job, names: Sequence[str], stop: Event) -> None:
        self.path, self.seconds, self.stop = (
            job.folder.place("unfinished", names[0], ".safetensors"),
            60 * job.execution.save_every,
            stop,
        )
        self.kept, self.due = "", time.monotonic() + self.seconds
        self.about: dict[str, Any] = {
            "folds": list(names),
            "epochs": job.config.epochs,
            "config": digest(job.folder.config),
            "version": __version__,  # another may order the weights in another way
        }

    def start(self) -> dict[str, np.ndarray] | None:
        """The state to go on from, if there is one."""
        stored = read_state(self.path, self.about)
        if stored is not None:
            self.kept = self._words(int(stored["epoch"][0]), len(stored.get("sums", ())))
            log.info(f"going on from {self.kept}")
        return stored

    def after_step(self, progress: Progress, more: Callable[[], Mapping[str, np.ndarray]] = dict) -> None:
        """Keep `progress` and `more` if it is time; a KeyboardInterrupt if the work shall stop."""
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


def train_group(
    job: Job, group: list[Fold], stream: Stream, scalars: Scalars, advance: Callable[[int, str], None], keeper: Keeper
) -> None:
    """Train a group, from where it was kept, test it after every epoch, and store what its folds leave behind.

    What the last epoch gives is stored: no epoch is chosen by its test score.
    """
    task, config, folder = job.task, job.config, job.folder
    names, seeds = [fold.name for fold in group], [fold.seed(config.seed) for fold in group]
    backbone = job.backbone if config.tuning == "prompt" else build_backbone(config, task.clips.size)
    model = build_model(config, backbone, task.shape, seeds).to(job.device)
    if job.execution.compile:
        model.compile()
    tests = [np.array(fold.test) for fold in group]
    start = keeper.start()
    earlier: Mapping[str, Any] = {"curves": (), "predicted": (), "seconds": (0.0,)} if start is None else start
    curves: list[np.ndarray] = list(earlier["curves"])  # (2, F) of each epoch: loss and accuracy
    predicted: list[np.ndarray] = list(earlier["predicted"])  # classes after each epoch, fold after fold
    logits: list[np.ndarray] = []
    started = time.monotonic() - float(earlier["seconds"][0])
    advance(len(group) * len(curves), "")

    def history() -> dict[str, np.ndarray]:
        seconds = np.array([time.monotonic() - started])
        return {"curves": np.array(curves), "predicted": np.array(predicted), "seconds": seconds}

    def after_epoch(report: EpochReport) -> None:
        logits[:] = predict(model, stream, tests, config)
        require_finite(report, logits, names, config)
        stream.require_unchanged()
        curves.append(np.stack([report.loss, report.accuracy]))
        predicted.append(np.concatenate([each.argmax(1) for each in logits]))
        speed = report.clips * report.epoch / (time.monotonic() - started)
        scalars.write(report, names, speed)
        note = f"epoch {report.epoch}/{config.epochs}  loss {report.loss.mean():.3f}"
        advance(len(group), f"{note}  train acc {report.accuracy.mean():.0%}  {speed:.0f} clips/s")

    data = [
        FoldData(np.array(fold.train), task.labels(fold.train, fold.shuffle), seed)
        for fold, seed in zip(group, seeds, strict=True)
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
    for f, fold in enumerate(group):
        if folder.finished(fold.name):
            continue  # written by an attempt that was killed among these files
        if job.execution.checkpoints and config.tuning == "prompt" and not fold.shuffle:
            save_fold(folder.checkpoint(fold.name), model, f, job.card)
        beside = [folder.path / "overview.safetensors"] if fold == shown_fold(task) else []
        for path in beside:
            write_overview(path, task, group, model, stream, config)
        result = FoldResult(
            name=fold.name,
            keys=tuple(task.clips.keys[clip] for clip in fold.test),
            true=task.labels(fold.test, fold.shuffle),
            logits=logits[f],
            epoch_predictions=of_folds[f],
            loss=tuple(losses[:, f].tolist()),
            accuracy=tuple(accuracies[:, f].tolist()),
            train_clips=len(fold.train),
            seed=seeds[f],
            seconds=seconds,
            traces=traces[f],
        )
        job.store(fold, result, group, beside)
