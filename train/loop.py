"""Train many folds in one pass of the shared backbone, as if each were trained alone.

Fold f has its own weights, batches, loss, Adam state and random numbers. Only the frozen backbone is
shared, and it has no state. So any grouping of folds gives the same result, to float tolerance.
`fit` is given training clips and their labels; it never sees a test clip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from train.config import TrainConfig
from train.fold_adam import FoldAdam
from train.model.mpt import MPT, trained_parameters
from train.stream import DeviceStream


@dataclass(frozen=True)
class FoldData:
    """What one fold trains on.

    Attributes:
        clips: indices of its training clips.
        labels: their classes.
        seed: decides the order of its batches.
    """

    clips: np.ndarray
    labels: np.ndarray
    seed: int


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
    stream: DeviceStream,
    folds: Sequence[FoldData],
    config: TrainConfig,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
) -> None:
    """Train `model`, which has as many folds as there are entries in `folds`, in place."""
    optimiser = FoldAdam(list(trained_parameters(model).values()), len(folds), config.lr)
    model.train()
    for epoch in range(1, config.epochs + 1):
        losses, hits = np.zeros(len(folds)), np.zeros(len(folds))
        for clips, labels, weights in batches(folds, config.batch_size, epoch):
            targets = torch.from_numpy(labels).to(stream.device)  # (F, B)
            share = torch.from_numpy(weights).to(stream.device)  # (F, B), 0 where a fold has no clip
            logits = model(stream.inputs(clips))  # (F, B, classes)
            loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none").view_as(share)
            present = share.sum(1).clamp(min=1)
            optimiser.zero_grad()
            ((loss * share).sum(1) / present).sum().backward()
            optimiser.step(torch.from_numpy(weights.any(1)))
            losses += (loss.detach() * share).sum(1).cpu().numpy()
            hits += ((logits.detach().argmax(-1) == targets) * share).sum(1).cpu().numpy()
        sizes = np.array([len(fold.clips) for fold in folds])
        on_epoch(EpochReport(epoch, losses / sizes, hits / sizes, int(sizes.sum())))


def batches(folds: Sequence[FoldData], batch_size: int, epoch: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The steps of an epoch: (clips, labels, weights), each (F, B).

    Each fold goes through its clips once, in an order drawn from its own seed. Folds differ in
    length: where one has no clip left, its first clip stands in with weight 0.
    """
    orders = [np.random.default_rng([fold.seed, epoch]).permutation(len(fold.clips)) for fold in folds]
    steps = -(-max(len(order) for order in orders) // batch_size)
    result = []
    for step in range(steps):
        clips = np.stack([np.full(batch_size, fold.clips[0]) for fold in folds])
        labels = np.zeros((len(folds), batch_size), np.int64)
        weights = np.zeros((len(folds), batch_size), np.float32)
        for f, (fold, order) in enumerate(zip(folds, orders, strict=True)):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            clips[f, : len(chosen)] = fold.clips[chosen]
            labels[f, : len(chosen)] = fold.labels[chosen]
            weights[f, : len(chosen)] = 1
        result.append((clips, labels, weights))
    return result


@torch.no_grad()
def predict(model: MPT, stream: DeviceStream, clips: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Logits of clips[f] by fold f: a list of (len(clips[f]), classes) float32 arrays."""
    model.eval()
    logits: list[list[np.ndarray]] = [[] for _ in clips]
    for start in range(0, max(len(indices) for indices in clips), batch_size):
        wanted = [indices[start : start + batch_size] for indices in clips]
        width = max(len(part) for part in wanted)
        padded = np.stack([np.r_[part, np.full(width - len(part), clips[f][0])] for f, part in enumerate(wanted)])
        out = model(stream.inputs(padded.astype(np.intp))).float().cpu().numpy()  # (F, width, classes)
        for f, part in enumerate(wanted):
            logits[f].append(out[f, : len(part)])
    model.train()
    return [np.concatenate(parts) for parts in logits]
