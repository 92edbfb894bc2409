"""Train many folds in one pass of the shared backbone, as if each were trained alone.

Fold f has its own weights, batches, loss, Adam state and random numbers. Only the frozen backbone is
shared, and it has no state. So any grouping of folds gives the same result, to float tolerance.
`fit` is given training clips and their labels; it never sees a test clip.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from data_cache.errors import UsageError
from train.config import TrainConfig
from train.data.augment import AUGMENTATIONS
from train.data.stream import Request, Stream
from train.device import arithmetic, shrinking
from train.fold_adam import FoldAdam
from train.model.mpt import MPT, Inputs, trained_parameters


@dataclass(frozen=True)
class FoldData:
    """What one fold trains on.

    Attributes:
        clips: indices of its training clips.
        seed: decides the order of its batches and its augmentation.
    """

    clips: np.ndarray
    labels: np.ndarray
    seed: int


@dataclass(frozen=True)
class Step:
    """One step of all folds.

    Attributes:
        request: the clips, (F, B).
        labels: (F, B) classes.
        present: (F, B), 1 for a clip and 0 for a stand-in where the fold has no clip left.
    """

    request: Request
    labels: np.ndarray
    present: np.ndarray


@dataclass(frozen=True)
class EpochReport:
    """How an epoch went; arrays have one entry per fold.

    Attributes:
        epoch: counted from 1.
        loss: mean training loss.
        accuracy: training accuracy, measured while training.
        clips: training clips seen, all folds together.
    """

    epoch: int
    loss: np.ndarray
    accuracy: np.ndarray
    clips: int


def fit(
    model: MPT,
    stream: Stream,
    folds: Sequence[FoldData],
    config: TrainConfig,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
) -> None:
    """Train `model`, which has as many folds as there are entries in `folds`, in place."""
    optimiser = FoldAdam(list(trained_parameters(model).values()), len(folds), config.lr)
    schedule = SCHEDULES[config.schedule]
    sizes = np.array([len(fold.clips) for fold in folds])
    total_steps = torch.from_numpy(-(-sizes // config.batch_size) * config.epochs).double()
    class_weights = _class_weights(folds, model.head.weight.shape[-1], config).to(model.head.weight)
    model.train()
    for epoch in range(1, config.epochs + 1):
        losses, hits = np.zeros(len(folds)), np.zeros(len(folds))
        plan = list(epoch_steps(folds, config, epoch))
        for step, inputs in zip(plan, stream.steps([step.request for step in plan]), strict=True):
            labels = torch.from_numpy(step.labels).to(stream.device)  # (F, B)
            present = torch.from_numpy(step.present).to(class_weights)
            share = present * class_weights.gather(1, labels)
            with precision(config, stream.device):
                logits = model(inputs).to(model.head.weight.dtype)  # (F, B, classes)
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(share)
            fold_loss = (loss * share).sum(1) / share.sum(1).clamp(min=1e-12)
            optimiser.zero_grad()
            fold_loss.sum().backward()
            optimiser.step(torch.from_numpy(step.present.any(1)), schedule(optimiser.steps / total_steps))
            losses += (fold_loss.detach() * present.sum(1)).cpu().numpy()
            hits += ((logits.detach().argmax(-1) == labels) * present).sum(1).cpu().numpy()
        on_epoch(EpochReport(epoch, losses / sizes, hits / sizes, int(sizes.sum())))


def require_finite(
    report: EpochReport, logits: Sequence[np.ndarray], names: Sequence[str], config: TrainConfig
) -> None:
    """Stop a training that diverged.

    Raises:
        UsageError: a fold's loss, or one of its logits after the epoch, is not finite.
    """
    for name, loss, found in zip(names, report.loss, logits, strict=True):
        if not (np.isfinite(loss) and np.isfinite(found).all()):
            raise UsageError(
                f"{name}: the loss is {loss:g} in epoch {report.epoch} and training cannot go on from there; try a "
                f"lower --lr than {config.lr:g}, or --amp fp32"
            )


def epoch_steps(folds: Sequence[FoldData], config: TrainConfig, epoch: int) -> Iterator[Step]:
    """The steps of one epoch.

    Each fold goes through its clips once, in an order drawn from its own seed. Folds differ in
    length: where one has no clip left, its first clip stands in and does not count.
    """
    size = config.batch_size
    generators = [np.random.default_rng([fold.seed, epoch]) for fold in folds]
    orders = [generator.permutation(len(fold.clips)) for generator, fold in zip(generators, folds, strict=True)]
    augmentation = AUGMENTATIONS[config.augment]
    for start in range(0, max(len(order) for order in orders), size):
        clips = np.stack([np.full(size, fold.clips[0]) for fold in folds])
        labels = np.zeros((len(folds), size), np.int64)
        present = np.zeros((len(folds), size), np.float32)
        for f, (fold, order) in enumerate(zip(folds, orders, strict=True)):
            chosen = order[start : start + size]
            clips[f, : len(chosen)] = fold.clips[chosen]
            labels[f, : len(chosen)] = fold.labels[chosen]
            present[f, : len(chosen)] = 1
        change = None if augmentation is None else augmentation.draw(generators, size)
        yield Step(Request(clips, change), labels, present)


def predict(model: MPT, stream: Stream, clips: Sequence[np.ndarray], config: TrainConfig) -> list[np.ndarray]:
    """Logits of clips[f] by fold f: a list of (len(clips[f]), classes) float32 arrays."""
    found = evaluate(model, stream, clips, config, lambda part, inputs: {"logits": part(inputs)})
    return [each["logits"] for each in found]


@torch.no_grad()
def evaluate(
    model: MPT,
    stream: Stream,
    clips: Sequence[np.ndarray],
    config: TrainConfig,
    look: Callable[[MPT, Inputs], dict[str, Tensor]],
) -> list[dict[str, np.ndarray]]:
    """What `look`, given models and inputs, answers about clips[f] by fold f: name → (len(clips[f]), …) float32 arrays.

    Where memory is short fewer clips go in a pass, and then fewer folds.
    """

    def attempt(size: int) -> list[dict[str, np.ndarray]]:
        found: list[dict[str, list[np.ndarray]]] = [{} for _ in clips]
        at_once = min(size, len(clips))
        for first in range(0, len(clips), at_once):
            part = range(first, min(first + at_once, len(clips)))
            shown = model.some_folds(part)
            for padded, widths in padded_batches([clips[f] for f in part], size // at_once):
                inputs = stream.inputs(Request(padded))
                with precision(config, stream.device):
                    arrays = look(shown, inputs)
                for name, values in arrays.items():
                    numbers = values.float().cpu().numpy()  # (F, B, …)
                    for f, width, rows in zip(part, widths, numbers, strict=True):
                        found[f].setdefault(name, []).append(rows[:width])
        return [{name: np.concatenate(parts) for name, parts in each.items()} for each in found]

    model.eval()
    found = shrinking(attempt, len(clips) * config.batch_size, "clip", stream.device, "--device cpu")
    model.train()
    return found


def padded_batches(clips: Sequence[np.ndarray], batch_size: int) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Clips of several folds, batch by batch: (F, B) indices, and how many of each fold's are real.

    Folds differ in length; the first clip of a fold stands in where it has none left.
    """
    for start in range(0, max(len(indices) for indices in clips), batch_size):
        wanted = [indices[start : start + batch_size] for indices in clips]
        widths = [len(part) for part in wanted]
        padded = [np.r_[part, np.full(max(widths) - len(part), clips[f][0])] for f, part in enumerate(wanted)]
        yield np.stack(padded).astype(np.intp), widths


def precision(config: TrainConfig, device: torch.device) -> AbstractContextManager[object]:
    """The arithmetic that `config.amp` names; fp32 is never TF32 by the way, in the backward pass neither."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.amp == "tf32"
    return torch.autocast(device.type, torch.bfloat16, enabled=arithmetic(config.amp, device) == "bf16")


SCHEDULES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "constant": torch.ones_like,
    "cosine": lambda done: 0.5 * (1 + torch.cos(torch.pi * done.clamp(max=1))),
}
"""Share of a fold's steps done, (F,) → factor on its learning rate."""


def _class_weights(folds: Sequence[FoldData], classes: int, config: TrainConfig) -> torch.Tensor:
    """Weight of each class in each fold's loss, (F, classes): 1, or inverse to its frequency in training."""
    weights = np.ones((len(folds), classes))
    if config.class_weights == "balanced":
        for f, fold in enumerate(folds):
            counts = np.bincount(fold.labels, minlength=classes)
            weights[f] = np.where(counts > 0, len(fold.labels) / (classes * np.maximum(counts, 1)), 0)
    return torch.from_numpy(weights)
