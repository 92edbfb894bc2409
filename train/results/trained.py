"""A trained run, ready for use: the models of some of its folds, side by side as folds of one model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from data_cache.errors import UsageError
from train.config import TrainConfig
from train.model.build import Shape, assemble_model
from train.model.mpt import MPT
from train.model.weights import build_backbone, weights_digest
from train.results.checkpoint import CheckpointCard, load_fold, read_card
from train.results.run_folder import RunFolder


@dataclass(frozen=True)
class Trained:
    """Models of a run.

    Attributes:
        model: one fold per name.
        names: folds of the run, or "final".
        config: the settings.
        card: what the checkpoints belong to.
    """

    model: MPT
    names: tuple[str, ...]
    config: TrainConfig
    card: CheckpointCard


def load_trained(run: RunFolder, names: Sequence[str], device: torch.device, weights: str | None = None) -> Trained:
    """Load the checkpoints called `names`.

    Args:
        run: the run.
        names: folds, or "final".
        device: where to.
        weights: file with the backbone's weights, if they are not where they were in training.

    Raises:
        UsageError: a checkpoint is missing, or the backbone's weights are not those of training.
        InvalidFile: a checkpoint is damaged.
    """
    if not names:
        raise UsageError(f"{run.path} has no checkpoints to load; was it made with --no-checkpoints?")
    card = read_card(run.checkpoint(names[0]))
    config = TrainConfig.from_json(dict(card.settings), str(run.checkpoint(names[0])))
    backbone = build_backbone(config if weights is None else replace(config, weights=weights), card.size)
    digest = weights_digest(backbone)
    model = assemble_model(config, backbone, Shape(len(card.classes), card.frames, card.size), len(names))
    for fold, name in enumerate(names):
        load_fold(run.checkpoint(name), model, fold, digest)
    return Trained(model.to(device).eval(), tuple(names), config, card)
