"""A whole run: caches and settings in, a run folder with all folds and the summary out."""

import platform
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_cache import __version__
from data_cache.commandline import progress, say
from data_cache.errors import UsageError
from data_cache.protocols import Labelling, apply_protocol, choose_protocol, count_differences
from train.checkpoint import CheckpointCard, save_fold
from train.clips import ClipSet, open_clips
from train.config import Execution, TrainConfig
from train.folds import Fold, Folds, loso_folds
from train.loop import EpochReport, FoldData, fit, predict
from train.memory import bytes_per_fold, folds_at_once
from train.model.backbone import Backbone
from train.model.build import Shape, build_model
from train.model.mpt import MPT, trained_parameters
from train.model.weights import build_backbone, weights_digest
from train.runs import FoldResult, RunFolder
from train.stream import DeviceStream
from train.summary import summarise


@dataclass(frozen=True)
class Task:
    """The classification task: clips, their classes, and the folds.

    Attributes:
        clips: all clips of the caches.
        protocol: name of the protocol.
        labelling: class of each clip.
        folds: one per subject.
    """

    clips: ClipSet
    protocol: str
    labelling: Labelling
    folds: Folds

    @property
    def shape(self) -> Shape:
        """Classes, frames and size."""
        return Shape(len(self.labelling.classes), self.clips.frames, self.clips.size)


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
        say(f"left out, {count} clips: {reason}")
    for difference in count_differences(protocol, labelling.counts):
        say(f"note: {difference}")
    if folds.unused_subjects:
        say(f"subjects without a clip of these classes: {', '.join(folds.unused_subjects)}")
    return Task(clips, protocol.name, labelling, folds)


def train_run(
    task: Task, config: TrainConfig, execution: Execution, folder: RunFolder, overwrite: bool
) -> dict[str, Any]:
    """Train every fold that is not done yet, write the summary, and return it.

    Raises:
        StaleFile: the folder holds a run with other settings.
    """
    device = choose_device(execution.device)
    backbone = build_backbone(config, task.clips.size)
    backbone_digest = weights_digest(backbone)
    card = CheckpointCard(
        settings=config.as_json(),
        classes=task.labelling.classes,
        frames=task.clips.frames,
        size=task.clips.size,
        recipe=task.clips.readers[0].attributes.recipe,
        backbone_digest=backbone_digest,
    )
    if folder.start(_description(task, config, card), _environment(device), overwrite):
        say(f"{folder.path} is already finished")
        return folder.summary
    waiting = [fold for fold in task.folds.folds if not folder.finished(fold.name)]
    if waiting:
        _train_folds(task, waiting, config, execution, backbone, device, folder, card)
    summary = summarise(folder.read_folds(), task.labelling.classes)
    folder.write_summary(summary)
    return summary


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} cannot be used here ({str(error).splitlines()[0]}); try --device cpu"
        ) from error
    return device


def _train_folds(
    task: Task,
    waiting: Sequence[Fold],
    config: TrainConfig,
    execution: Execution,
    backbone: Backbone,
    device: torch.device,
    folder: RunFolder,
    card: CheckpointCard,
) -> None:
    single = build_model(config, backbone, task.shape, [0])
    trained = sum(parameter.numel() for parameter in trained_parameters(single).values())
    per_fold = bytes_per_fold(config, backbone, task.shape, trained)
    at_once = folds_at_once(config, execution, per_fold, device, len(waiting))
    say(f"{trained:,} trained parameters per fold; {len(waiting)} folds, {at_once} at a time, on {device}")
    used = sorted({clip for fold in waiting for clip in (*fold.train, *fold.test)})
    stream = DeviceStream(task.clips, used, config.image, config.prompt == "motion", device)
    with progress("training", len(waiting) * config.epochs, "fold-epochs") as advance:
        for start in range(0, len(waiting), at_once):
            group = waiting[start : start + at_once]
            fresh = backbone if config.tuning == "prompt" else build_backbone(config, task.clips.size)
            model = build_model(config, fresh, task.shape, [fold.seed(config.seed) for fold in group]).to(device)
            for fold, result in enumerate(_train_group(task, group, config, model, stream, advance)):
                if config.tuning == "prompt":
                    save_fold(folder.checkpoint(result.name), model, fold, card)
                folder.write_fold(result, task.labelling.classes)


def _train_group(
    task: Task, group: Sequence[Fold], config: TrainConfig, model: MPT, stream: DeviceStream, advance: Any
) -> list[FoldResult]:
    """Train some folds together, testing each after every epoch."""
    labels = np.array(task.labelling.labels)
    tests = [np.array(fold.test) for fold in group]
    reports: list[EpochReport] = []
    logits: list[list[np.ndarray]] = []
    started = time.monotonic()

    def after_epoch(report: EpochReport) -> None:
        reports.append(report)
        logits.append(predict(model, stream, tests, config.batch_size))
        speed = report.clips * report.epoch / (time.monotonic() - started)
        note = f"epoch {report.epoch}/{config.epochs}  loss {report.loss.mean():.3f}  "
        advance(len(group), note + f"train acc {report.accuracy.mean():.0%}  {speed:.0f} clips/s")

    data = [FoldData(np.array(fold.train), labels[list(fold.train)], fold.seed(config.seed)) for fold in group]
    fit(model, stream, data, config, after_epoch)
    seconds = (time.monotonic() - started) / len(group)
    return [
        FoldResult(
            name=fold.name,
            dataset=fold.dataset,
            subject=fold.subject,
            clips=tuple(task.clips.keys[clip][2] for clip in fold.test),
            true=labels[tests[f]],
            logits=logits[-1][f],
            epoch_predictions=np.stack([epoch[f].argmax(1) for epoch in logits]),
            loss=tuple(float(report.loss[f]) for report in reports),
            accuracy=tuple(float(report.accuracy[f]) for report in reports),
            train_clips=len(fold.train),
            seed=fold.seed(config.seed),
            seconds=seconds,
        )
        for f, fold in enumerate(group)
    ]


def _description(task: Task, config: TrainConfig, card: CheckpointCard) -> dict[str, Any]:
    """What decides the result, as stored in config.json."""
    return {
        "settings": config.as_json(),
        "protocol": task.protocol,
        "classes": list(task.labelling.classes),
        "clips": dict(task.labelling.counts),
        "caches": [
            {
                "dataset": reader.attributes.dataset,
                "content_digest": reader.content_digest,
                "recipe": reader.attributes.recipe,
                "licence_notice": reader.attributes.licence_notice,
            }
            for reader in task.clips.readers
        ],
        "backbone_digest": card.backbone_digest,
    }


def _environment(device: torch.device) -> dict[str, Any]:
    return {
        "tool": f"motion-prompt-tuning {__version__}",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() + " CPU",
        "versions": {name: version(name) for name in ("torch", "timm", "numpy", "h5py")}
        | {"python": platform.python_version()},
    }
