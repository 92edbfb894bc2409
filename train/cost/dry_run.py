"""What a run would do, without doing it: `mpt-train --dry-run`."""

from dataclasses import dataclass
from typing import Any

from train.config import Execution, TrainConfig
from train.cost.accounting import Account, account, account_lines, bytes_per_fold, folds_at_once, meta_backbone
from train.data.clips import ClipPixels
from train.data.stream import on_device
from train.data.task import Task
from train.device import choose_device, free_memory

PLACES = {"device": "all on the device", "stream": "read from the file while training"}


@dataclass(frozen=True)
class RunPlan:
    """A run before it starts.

    Attributes:
        steps: optimiser steps of the longest fold.
        fold_bytes: estimated memory of one fold.
        free_bytes: free memory of the device.
        pixel_bytes: of all clips.
        pixels: where they are kept, "device" or "stream".
    """

    protocol: str
    classes: dict[str, int]
    split: str
    folds: int
    clips: int
    steps: int
    at_once: int
    device: str
    fold_bytes: int
    free_bytes: int
    pixel_bytes: int
    pixels: str
    account: Account

    def as_json(self) -> dict[str, Any]:
        """The plan as a JSON object."""
        return {**vars(self), "account": {**vars(self.account), "trained_total": self.account.trained_total}}

    def lines(self) -> list[tuple[str, str]]:
        """The plan as (name, value) pairs for people."""
        classes = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        return [
            ("protocol", f"{self.protocol}: {classes}"),
            ("split", f"{self.split}, {self.folds} folds, {self.clips} tested clips"),
            ("folds", f"{self.at_once} at a time on {self.device}"),
            ("steps", f"{self.steps:,} per fold"),
            ("memory", f"about {self.fold_bytes / 1e9:.2f} GB per fold; {self.free_bytes / 1e9:.1f} GB are free"),
            ("pixels", f"{self.pixel_bytes / 1e9:.2f} GB, {PLACES[self.pixels]}"),
            *account_lines(self.account),
        ]


def plan_run(task: Task, config: TrainConfig, execution: Execution) -> RunPlan:
    """Plan a run; loads no weights and computes nothing."""
    import torch

    counted = account(config, task.shape)
    device = choose_device(execution.device)
    with torch.device("meta"):
        backbone = meta_backbone(config, task.clips.size)
    per_fold = bytes_per_fold(config, backbone, task.shape, counted.trained_total, device)
    folds = task.folds
    used = {clip for fold in folds for clip in (*fold.train, *fold.test)}
    pixels, free = len(used) * ClipPixels.of(task.clips, config).bytes_per_clip, free_memory(device)
    kept = on_device(pixels, free, execution)
    longest = max(len(fold.train) for fold in folds)
    return RunPlan(
        protocol=task.protocol,
        classes=task.labelling.counts,
        split=task.split.title,
        folds=len(folds),
        clips=sum(len(fold.test) for fold in folds),
        steps=-(-longest // config.batch_size) * config.epochs * (config.tuning != "probe"),
        at_once=folds_at_once(config, execution, per_fold, free - kept * pixels, len(folds)),
        device=str(device),
        fold_bytes=per_fold,
        free_bytes=free,
        pixel_bytes=pixels,
        pixels="device" if kept else "stream",
        account=counted,
    )
