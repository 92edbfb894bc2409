"""What a run would do, without doing it: `mpt-train --dry-run`."""

from dataclasses import dataclass
from typing import Any

from train.config import Execution, TrainConfig
from train.cost.accounting import Account, account, account_lines, bytes_per_fold, folds_at_once, meta_backbone
from train.data.task import Task
from train.device import choose_device, free_memory


@dataclass(frozen=True)
class RunPlan:
    """A run before it starts.

    Attributes:
        steps: optimiser steps of the longest fold.
        fold_bytes: estimated memory of one fold.
        free_bytes: free memory of the device.
    """

    protocol: str
    classes: dict[str, int]
    subjects: int
    clips: int
    steps: int
    at_once: int
    device: str
    fold_bytes: int
    free_bytes: int
    account: Account

    def as_json(self) -> dict[str, Any]:
        """The plan as a JSON object."""
        return {**vars(self), "account": {**vars(self.account), "trained_total": self.account.trained_total}}

    def lines(self) -> list[tuple[str, str]]:
        """The plan as (name, value) pairs for people."""
        classes = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        return [
            ("protocol", f"{self.protocol}: {classes}"),
            ("folds", f"{self.subjects} subjects, {self.clips} clips; {self.at_once} folds at a time on {self.device}"),
            ("steps", f"{self.steps:,} per fold"),
            ("memory", f"about {self.fold_bytes / 1e9:.2f} GB per fold; {self.free_bytes / 1e9:.1f} GB are free"),
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
    folds = task.folds.folds
    longest = max(len(fold.train) for fold in folds)
    return RunPlan(
        protocol=task.protocol,
        classes=task.labelling.counts,
        subjects=len(folds),
        clips=sum(len(fold.test) for fold in folds),
        steps=-(-longest // config.batch_size) * config.epochs,
        at_once=folds_at_once(config, execution, per_fold, device, len(folds)),
        device=str(device),
        fold_bytes=per_fold,
        free_bytes=free_memory(device),
        account=counted,
    )
