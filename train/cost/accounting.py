"""What a run costs: parameters by part, MACs, memory, how many folds fit into it, and time.

`plan_run` says it all beforehand: for `mpt-train --dry-run`, and for the first lines of a run.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from train.config import Execution, TrainConfig
from train.data.folds import Fold, used_clips
from train.data.stream import Request, Stream, on_device
from train.data.task import ClipPixels, Task
from train.device import arithmetic, choose_device, free_memory
from train.loop import FoldData, fit, predict
from train.model.backbone import Backbone
from train.model.build import Shape, assemble_model
from train.model.mpt import MPT, Inputs, trained_count, trained_parameters
from train.model.tokenizer import PATCH
from train.model.weights import create_vit, weights_place

_LONG = 2 * 3600.0  # seconds of training on a CPU from which on it is worth a warning
_PATIENCE = 3.0  # seconds: where one step takes longer, one more is timed, not three
_BLOCK_BYTES = {"bf16": (28, 33), "tf32": (48, 49), "fp32": (48, 49)}
"""Per token and channel: kept of each block for the backward pass; alive inside a block where nothing is kept."""
_TRAINED_BYTES, _ADAM_BYTES = 16, 36  # per trained parameter: value, gradient and state; at most during Adam's step
_SHARE = 0.6  # of the free memory; the rest is for kernels' workspaces and other users
_FIXED = 4  # folds with --deterministic: they decide about the last bits, so they must not depend on the memory


@dataclass(frozen=True)
class Account:
    """What one fold costs: parameters, and MACs of one clip's forward pass, which are the paper's "FLOPs".

    Attributes:
        trained: part of the model → trained parameters.
        macs_shortcut: with only the class token computed in the last block.
    """

    trained: dict[str, int]
    total: int
    macs: int
    macs_shortcut: int

    @property
    def trained_total(self) -> int:
        """All trained parameters."""
        return sum(self.trained.values())


@cache  # the paper's rows repeat each other
def account(config: TrainConfig, shape: Shape) -> Account:
    """Count everything; nothing is computed, and no weights are needed."""
    model = meta_model(config, shape)
    parts: Counter[str] = Counter()
    for name, parameter in trained_parameters(model).items():
        parts[name.partition(".")[0]] += parameter.numel()
    inputs = noise(shape, 1, replace(config, batch_size=1), torch.device("meta"))
    full, short = (_macs(model, inputs, shortcut) for shortcut in (False, True))
    return Account(dict(parts), sum(parameter.numel() for parameter in model.parameters()), full, short)


def meta_model(config: TrainConfig, shape: Shape, folds: int = 1) -> MPT:
    """The model of `config` without values: shapes only."""
    with torch.device("meta"):
        backbone = Backbone(create_vit(config, shape.size), trainable=config.tuning == "full")
        return assemble_model(config, backbone, shape, folds)


def noise(shape: Shape, folds: int, config: TrainConfig, device: torch.device) -> Inputs:
    """One step's inputs, no clip twice."""

    def pixels(*sizes: int) -> Tensor:
        return torch.randint(0, 256, sizes, dtype=torch.uint8, device=device)

    batch, patches = config.batch_size, (shape.size // PATCH) ** 2
    return Inputs(
        images=pixels(folds * batch, shape.size, shape.size, 3),
        index=torch.arange(folds * batch, device=device).view(folds, batch),
        patches=pixels(folds, batch, shape.frames, patches, 3 * PATCH * PATCH) if config.needs_motion else None,
    )


def _macs(model: MPT, inputs: Inputs, shortcut: bool) -> int:
    model = copy(model)
    model.shortcut = shortcut and model.shortcut
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(inputs)
    return int(counter.get_total_flops()) // 2  # PyTorch counts a MAC as two


def bytes_per_fold(config: TrainConfig, shape: Shape, device: torch.device) -> int:
    """Estimated peak memory of one fold, to 15 %: what its batch leaves for the backward pass, and its own weights.

    Of the last block only the class token is computed, and where nothing before the head trains, nothing is kept.
    """
    model, amp = meta_model(config, shape), arithmetic(config.amp, device)
    backbone, trained = model.backbone, trained_count(model)
    kept, passing = _BLOCK_BYTES[amp]
    head_only = (config.prompt, config.adapter, config.tuning) == ("none", "none", "prompt")
    tokens = backbone.vit.patch_embed.num_patches + backbone.prefix + config.prompts * (config.prompt != "none")
    clip = tokens * backbone.dim * (passing if head_only else kept * max(1, backbone.depth - 1))
    if config.needs_motion:  # bytes of pixels, and three values per feature
        values = 3 * config.token_channels * (2 if amp == "bf16" else 4)
        clip += shape.frames * (shape.size // PATCH) ** 2 * (3 * PATCH * PATCH + values)
    return max(config.batch_size * clip + _TRAINED_BYTES * trained, _ADAM_BYTES * trained)


def folds_at_once(config: TrainConfig, execution: Execution, per_fold: int, free: int, folds: int) -> int:
    """How many of `folds` to train together: as chosen, or as many as fit in `free` bytes, or always as many."""
    if config.tuning == "full":
        return 1  # the backbone itself trains, so it cannot be shared
    fitting = execution.folds_at_once or (_FIXED if execution.deterministic else int(_SHARE * free / per_fold))
    return max(1, min(folds, fitting))


def plan_run(task: Task, config: TrainConfig, execution: Execution, folder: Path, timed: bool = True) -> dict[str, Any]:
    """A run before it starts, as JSON; loads no weights, and computes nothing but the steps to be `timed`.

    `steps` are those of the longest fold; `fold_bytes` and `seconds` are estimated, None where no step was timed.
    """
    counted, device = account(config, task.shape), choose_device(execution.device)
    per_fold = bytes_per_fold(config, task.shape, device)
    folds, free = task.folds, free_memory(device)
    pixels = len(used_clips(folds)) * ClipPixels(task.clips, config).bytes_per_clip
    kept = on_device(pixels, free, execution)
    steps = ceil(max(len(fold.train) for fold in folds) / config.batch_size) * config.epochs
    at_once = folds_at_once(config, execution, per_fold, free - kept * pixels, len(folds))
    trained = config.tuning != "probe"
    return {
        "protocol": task.protocol,
        "classes": task.labelling.counts,
        "split": task.split.title,
        "folds": len(folds),
        "clips": sum(len(fold.test) for fold in folds),
        "steps": steps * trained,
        "at_once": at_once,
        "device": str(device),
        "fold_bytes": per_fold,
        "free_bytes": free,
        "pixel_bytes": pixels,
        "pixels": "device" if kept else "stream",
        "weights": weights_place(config),
        "folder": str(folder),
        "seconds": estimate_seconds(task, folds, config, at_once, device) if timed and trained else None,
        "account": {**vars(counted), "trained_total": counted.trained_total},
    }


def plan_lines(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A plan as (name, value) pairs for people."""
    classes = ", ".join(f"{name} {count}" for name, count in plan["classes"].items())
    place = "all on the device" if plan["pixels"] == "device" else "read from the file while training"
    counted = plan["account"]
    trained = counted["trained_total"]
    return [
        ("protocol", f"{plan['protocol']}: {classes}"),
        ("split", f"{plan['split']}, {plan['folds']} folds, {plan['clips']} tested clips"),
        ("folds", f"{plan['at_once']} at a time on {plan['device']}"),
        ("steps", f"{plan['steps']:,} per fold"),
        *([] if plan["seconds"] is None else [("time", time_line(plan["seconds"], plan["device"]))]),
        ("weights", plan["weights"]),
        ("folder", plan["folder"]),
        ("memory", f"about {plan['fold_bytes'] / 1e9:.2f} GB per fold; {plan['free_bytes'] / 1e9:.1f} GB are free"),
        ("pixels", f"{plan['pixel_bytes'] / 1e9:.2f} GB, {place}"),
        *((f"{part} parameters", f"{count:,}") for part, count in counted["trained"].items()),
        ("trained parameters", f"{trained:,} ({trained / 1e6:.1f} M)"),
        ("frozen", f"{counted['total'] - trained:,}"),
        ("MACs per clip", f"{counted['macs'] / 1e9:.1f} G (the paper's GFLOPs)"),
        ("with the class-token shortcut", f"{counted['macs_shortcut'] / 1e9:.1f} G"),
    ]


def time_line(seconds: float, device: str) -> str:
    """How long that is, and what to do about it where it is long because there is no GPU."""
    units = ((86400, "days"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next((pair for pair in units if seconds >= 2 * pair[0]), units[-1])
    line = f"about {max(1, round(seconds / size))} {unit} on {device}"
    if device != "cpu" or seconds < _LONG:
        return line
    return (
        f"WARNING: {line}; use a machine with a GPU, or try things out with a smaller --backbone, a --depth of 4, "
        "fewer --epochs or some --subjects; what is finished is kept when you interrupt it"
    )


def estimate_seconds(
    task: Task, folds: Sequence[Fold], config: TrainConfig, at_once: int, device: torch.device
) -> float | None:
    """Seconds to train `folds` and to test them after every epoch, from three timed steps on made-up clips.

    None where not even a step of one fold fits into the memory. Reading clips from the file is not counted.
    """
    times = None
    for together in sorted({1, at_once}):  # several folds take no longer than each alone, but are not always quick
        with suppress(torch.OutOfMemoryError):
            times = _time_steps(replace(config, lr=1.0, epochs=1, seed=0), task.shape, together, device)
        if times is None or times[0] * at_once > _PATIENCE:
            break
    if times is None:
        return None
    seconds = 0.0
    for first in range(0, len(folds), at_once):
        group = folds[first : first + at_once]
        longest = max(len(fold.train) for fold in group), max(len(fold.test) for fold in group)
        steps = (ceil(clips / config.batch_size) * each for clips, each in zip(longest, times, strict=True))
        seconds += config.epochs * len(group) * sum(steps)
    return seconds


@cache  # one answer for all seeds
def _time_steps(config: TrainConfig, shape: Shape, folds: int, device: torch.device) -> tuple[float, float]:
    """Seconds of a training step and of a step of prediction, per fold, where `folds` go together."""
    backbone = meta_model(config, shape).backbone.to_empty(device=device)
    model = assemble_model(config, backbone, shape, folds).to(device)
    for tensor in (*model.parameters(), *backbone.buffers()):
        tensor.data.uniform_(0.01, 0.03)  # noise: a GPU is quicker with numbers that are all the same
    stream = MadeUp(noise(shape, folds, config, device), device)
    clips = np.arange(config.batch_size)

    def train(steps: int) -> None:
        data = FoldData(np.resize(clips, steps * len(clips)), np.zeros(steps * len(clips), np.int64), 0)
        fit(model, stream, [data] * folds, config)

    training = _seconds(lambda: train(1), device)  # loads code, too
    if training <= _PATIENCE:
        training = _seconds(lambda: train(3), device) / 3
    else:  # one more, or a busy moment would count for days
        training = min(training, _seconds(lambda: train(1), device))
    testing = _seconds(lambda: predict(model, stream, [clips] * folds, config), device)
    return training / folds, testing / folds


class MadeUp(Stream):
    """Serves the same inputs, whatever is asked for."""

    def __init__(self, served: Inputs, device: torch.device) -> None:
        self.served, self.device = served, device

    def inputs(self, request: Request) -> Inputs:  # noqa: ARG002
        """The same."""
        return self.served


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
