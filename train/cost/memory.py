"""How much memory a fold takes, and how many folds fit."""

import torch

from train.config import Execution, TrainConfig
from train.device import free_memory
from train.model.backbone import Backbone
from train.model.build import Shape
from train.model.tokenizer import PATCH

_BLOCK_VALUES = 13  # values kept for the backward pass, per token, channel and block (measured on ViT-B/16: 12.3)
_SHARE = 0.6  # of the free memory; the rest is for kernels' workspaces and other users


def bytes_per_fold(config: TrainConfig, backbone: Backbone, shape: Shape, trained: int, device: torch.device) -> int:
    """Estimated peak memory of one fold: activations of its batch, and its weights with Adam state.

    Args:
        config: the settings.
        backbone: the ViT.
        shape: of the data.
        trained: number of trained parameters per fold.
        device: where it trains.
    """
    tokens = backbone.vit.patch_embed.num_patches + backbone.prefix + config.prompts
    values = _BLOCK_VALUES * tokens * backbone.dim * backbone.depth
    if config.prompt == "motion":
        patches = shape.frames * (shape.size // PATCH) ** 2
        values += patches * (3 * PATCH * PATCH + 3 * config.token_channels)
    value_bytes = 2 if config.resolved_amp(device.type) == "bf16" else 4
    return config.batch_size * values * value_bytes + 16 * trained


def folds_at_once(config: TrainConfig, execution: Execution, per_fold: int, device: torch.device, folds: int) -> int:
    """How many of `folds` to train together: as chosen, or as many as fit in the free memory."""
    if config.tuning == "full":
        return 1  # the backbone itself trains, so it cannot be shared
    fitting = execution.folds_at_once or int(_SHARE * free_memory(device) / per_fold)
    return max(1, min(folds, fitting))
