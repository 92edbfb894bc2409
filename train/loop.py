"""Train many folds in one pass of the shared backbone, as if each were trained alone.

Fold f has its own weights, batches, loss, Adam state and random numbers. Only the frozen backbone is
shared, and it has no state. So any grouping of folds gives the same result, to float tolerance.
`fit` is given training clips and their labels; it never sees a test clip.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar

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
    """What one fold trains on; the seed decides the order of its batches and its augmentation."""

    clips: np.ndarray
    labels: np.ndarray
    seed: int


@dataclass(frozen=True)
class Step:
    """One step of all folds: clips, their classes, and 1 for a clip or 0 for a stand-in where none is left; (F, B)."""

    request: Request
    labels: np.ndarray
    present: np.ndarray


@dataclass(frozen=True)
class EpochReport:
    """How an epoch, counted from 1, went: mean loss and accuracy while training, (F,); clips seen by all folds."""

    epoch: int
    loss: np.ndarray
    accuracy: np.ndarray
    clips: int


@dataclass
class Progress:
    """How far a training is; with the frozen weights and the settings, all that `fit` needs to go on.

    What is random is drawn anew in each epoch, from its number and the seeds.

    Attributes:
        epoch: epochs that are over.
        sums: of each step since then, (2, F): loss and hits, summed over clips.
    """

    optimiser: FoldAdam
    epoch: int = 0
    sums: list[Tensor] = field(default_factory=list)
    _STATE: ClassVar = ("values", "first", "second")  # of the optimiser; the first are the trained weights

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, for `restore`."""
        tensors = {name: getattr(self.optimiser, name) for name in self._STATE}
        if self.sums:
            tensors["sums"] = torch.stack(self.sums)
        numbers = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return {**numbers, "steps": self.optimiser.steps, "epoch": np.array([self.epoch])}

    def restore(self, stored: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` gave."""
        adam = self.optimiser
        for name in self._STATE:
            getattr(adam, name).copy_(torch.from_numpy(stored[name]))
        adam.steps, self.epoch = stored["steps"], int(stored["epoch"][0])
        self.sums = list(torch.from_numpy(stored["sums"]).to(adam.values)) if "sums" in stored else []


def fit(
    model: MPT,
    stream: Stream,
    folds: Sequence[FoldData],
    config: TrainConfig,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    start: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Train `model`, which has as many folds as there are entries in `folds`, in place.

    Nothing leaves the device before an epoch ends, so that the CPU runs ahead of it. `on_step` may stop the training
    with an exception; `start`, the `Progress.arrays` of an earlier call, lets it go on from there.
    """
    progress = Progress(FoldAdam(list(trained_parameters(model).values()), len(folds), config.lr))
    if start is not None:
        progress.restore(start)
    optimiser, schedule = progress.optimiser, SCHEDULES[config.schedule]
    sizes = np.array([len(fold.clips) for fold in folds])
    total_steps = -(-sizes // config.batch_size) * config.epochs
    class_weights = _class_weights(folds, model.head.weight.shape[-1], config).to(model.head.weight)
    model.train()
    while progress.epoch < config.epochs:
        plan, done = list(epoch_steps(folds, config, progress.epoch + 1)), len(progress.sums)
        active = np.stack([step.present.any(1) for step in plan])[done:]  # (S, F)
        taken = optimiser.steps + active.cumsum(0) - active
        coming = (np.stack([step.labels for step in plan]), np.stack([step.present for step in plan]))
        of_labels, of_present, rates = stream.upload(
            [*map(torch.from_numpy, coming), optimiser.rates(active, schedule(taken / total_steps))]
        )
        steps = stream.steps([step.request for step in plan[done:]])
        for labels, present, moving, rate, inputs in zip(
            of_labels[done:], of_present[done:].to(class_weights), active, rates, steps, strict=True
        ):
            share = present * class_weights.gather(1, labels)
            with precision(config, stream.device):
                logits = model(inputs).to(model.head.weight.dtype)  # (F, B, classes)
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(share)
            fold_loss = (loss * share).sum(1) / share.sum(1).clamp(min=1e-12)
            for parameter in optimiser.parameters:
                parameter.grad = None
            fold_loss.sum().backward()
            optimiser.step(moving, rate)
            right = (logits.detach().argmax(-1) == labels) * present
            progress.sums.append(torch.stack([fold_loss.detach() * present.sum(1), right.sum(1)]))
            on_step(progress)
        losses, hits = torch.stack(progress.sums).cpu().numpy().sum(0, np.float64) / sizes
        progress.epoch, progress.sums = progress.epoch + 1, []
        on_epoch(EpochReport(progress.epoch, losses, hits, int(sizes.sum())))


def require_finite(
    report: EpochReport, logits: Sequence[np.ndarray], names: Sequence[str], config: TrainConfig
) -> None:
    """Stop a training that diverged: a UsageError if a fold's loss, or a logit after the epoch, is not finite."""
    for name, loss, found in zip(names, report.loss, logits, strict=True):
        if not (np.isfinite(loss) and np.isfinite(found).all()):
            raise UsageError(
                f"{name}: the loss is {loss:g} in epoch {report.epoch} and training cannot go on from there; try a "
                f"lower --lr than {config.lr:g}, or --amp fp32"
            )


def epoch_steps(folds: Sequence[FoldData], config: TrainConfig, epoch: int) -> Iterator[Step]:
    """The steps of one epoch: each fold goes through its clips once, in an order drawn from its own seed."""
    generators = [np.random.default_rng([fold.seed, epoch]) for fold in folds]
    orders = [generator.permutation(len(fold.clips)) for generator, fold in zip(generators, folds, strict=True)]
    augmentation, places = AUGMENTATIONS[config.augment], np.arange(config.batch_size)
    for rows, widths in padded_batches(orders, config.batch_size):
        clips, labels = (
            np.stack([each[row] for each, row in zip(values, rows, strict=True)])
            for values in ([fold.clips for fold in folds], [fold.labels for fold in folds])
        )
        change = None if augmentation is None else augmentation.draw(generators, config.batch_size)
        yield Step(Request(clips, change), labels, (places < widths[:, None]).astype(np.float32))


def padded_batches(
    orders: Sequence[np.ndarray], size: int, full: bool = True
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batch by batch, rows (F, B) of each fold's clips in its order, and how many are real, (F,).

    Folds differ in length: where one has no clip left, its first stands in. B is `size`, or unless `full` what the
    longest fold still has.
    """
    for start in range(0, max(map(len, orders)), size):
        parts = [order[start : start + size] for order in orders]
        widths = np.array([len(part) for part in parts])
        rows = np.zeros((len(parts), size if full else widths.max()), np.intp)
        for row, part in zip(rows, parts, strict=True):
            row[: len(part)] = part
        yield rows, widths


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

    Where memory is short fewer clips go in a pass, and then fewer folds; the stream remembers how many had room.
    """
    most = min(stream.room, len(clips) * config.batch_size)

    def attempt(size: int) -> list[dict[str, np.ndarray]]:
        found: list[dict[str, list[np.ndarray]]] = [{} for _ in clips]
        at_once = min(size, len(clips))
        for first in range(0, len(clips), at_once):
            part = range(first, min(first + at_once, len(clips)))
            shown = model.some_folds(part)
            for rows, widths in padded_batches([np.arange(len(clips[f])) for f in part], size // at_once, full=False):
                inputs = stream.inputs(Request(np.stack([clips[f][row] for f, row in zip(part, rows, strict=True)])))
                with precision(config, stream.device):
                    arrays = look(shown, inputs)
                for name, values in arrays.items():
                    numbers = values.float().cpu().numpy()  # (F, B, …)
                    for f, width, each in zip(part, widths, numbers, strict=True):
                        found[f].setdefault(name, []).append(each[:width])
        if size < most:
            stream.room = size
        return [{name: np.concatenate(parts) for name, parts in each.items()} for each in found]

    model.eval()
    found = shrinking(attempt, most, "clip", stream.device, "--device cpu")
    model.train()
    return found


def precision(config: TrainConfig, device: torch.device) -> AbstractContextManager[object]:
    """The arithmetic that `config.amp` names; fp32 is never TF32 by the way, in the backward pass neither."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.amp == "tf32"
    return torch.autocast(device.type, torch.bfloat16, enabled=arithmetic(config.amp, device) == "bf16")


SCHEDULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": np.ones_like,
    "cosine": lambda done: 0.5 * (1 + np.cos(np.pi * np.minimum(done, 1))),
}
"""Share of a fold's steps done → factor on its learning rate."""


def _class_weights(folds: Sequence[FoldData], classes: int, config: TrainConfig) -> Tensor:
    """Weight of each class in each fold's loss, (F, classes): 1, or inverse to its frequency in training."""
    if config.class_weights == "none":
        return torch.ones(len(folds), classes)
    counts = np.stack([np.bincount(fold.labels, minlength=classes) for fold in folds])
    return torch.from_numpy(np.where(counts > 0, counts.sum(1, keepdims=True) / (classes * np.maximum(counts, 1)), 0))
