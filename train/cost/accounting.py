"""What a model costs: parameters by part, multiply–adds, memory, and how many folds fit into it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from train.config import Execution, TrainConfig
from train.model.backbone import Backbone
from train.model.build import Shape, assemble_model
from train.model.mpt import MPT, Inputs, trained_parameters
from train.model.tokenizer import PATCH

_BLOCK_VALUES = 13  # values kept for the backward pass, per token, channel and block (measured on ViT-B/16: 12.3)
_SHARE = 0.6  # of the free memory; the rest is for kernels' workspaces and other users
_FIXED = 4  # folds with --deterministic: they decide about the last bits, so they must not depend on the memory


@dataclass(frozen=True)
class Account:
    """What one fold costs.

    Attributes:
        trained: part of the model → trained parameters.
        total: all parameters, the frozen ones included.
        multiply_adds: of one clip's forward pass, as the equations read. The paper's "FLOPs" are these.
        multiply_adds_shortcut: the same, with only the class token computed in the last block.
    """

    trained: dict[str, int]
    total: int
    multiply_adds: int
    multiply_adds_shortcut: int

    @property
    def trained_total(self) -> int:
        """All trained parameters."""
        return sum(self.trained.values())


@lru_cache(maxsize=64)  # half a second each, and the paper's rows repeat each other
def account(config: TrainConfig, shape: Shape) -> Account:
    """Count everything; nothing is computed, and no weights are needed."""
    with torch.device("meta"):
        backbone = meta_backbone(config, shape.size)
        model = assemble_model(config, backbone, shape, 1)
    counted = {name: parameter.numel() for name, parameter in trained_parameters(model).items()}
    parts: dict[str, int] = {}
    for name, count in counted.items():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + count
    full, short = (_multiply_adds(model, shape, shortcut) for shortcut in (False, True))
    return Account(parts, sum(parameter.numel() for parameter in model.parameters()), full, short)


def meta_backbone(config: TrainConfig, size: int) -> Backbone:
    """The backbone of `config` without values: shapes only."""
    from train.model.weights import create_vit

    return Backbone(create_vit(config, size), trainable=config.tuning == "full")


def _multiply_adds(model: MPT, shape: Shape, shortcut: bool) -> int:
    usable = model.shortcut
    model.shortcut = shortcut and usable
    patches = (shape.size // PATCH) ** 2
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(
            Inputs(
                images=torch.zeros(1, shape.size, shape.size, 3, dtype=torch.uint8),
                index=torch.zeros(1, 1, dtype=torch.long),
                patches=torch.zeros(1, 1, shape.frames, patches, 3 * PATCH * PATCH, dtype=torch.uint8),
            )
        )
    model.shortcut = usable
    return int(counter.get_total_flops()) // 2  # PyTorch counts a multiply–add as two


def account_lines(counted: Account) -> Sequence[tuple[str, str]]:
    """An account as (name, value) pairs for people."""
    frozen = counted.total - counted.trained_total
    return [
        *((f"{part} parameters", f"{count:,}") for part, count in counted.trained.items()),
        ("trained parameters", f"{counted.trained_total:,} ({counted.trained_total / 1e6:.1f} M)"),
        ("frozen", f"{frozen:,}"),
        ("multiply–adds per clip", f"{counted.multiply_adds / 1e9:.1f} G (the paper's GFLOPs)"),
        ("with the class-token shortcut", f"{counted.multiply_adds_shortcut / 1e9:.1f} G"),
    ]


def bytes_per_fold(config: TrainConfig, backbone: Backbone, shape: Shape, trained: int, device: torch.device) -> int:
    """Estimated peak memory of one fold: activations of its batch, and its weights with Adam state."""
    tokens = backbone.vit.patch_embed.num_patches + backbone.prefix + config.prompts
    values = _BLOCK_VALUES * tokens * backbone.dim * backbone.depth
    if config.prompt == "motion":
        patches = shape.frames * (shape.size // PATCH) ** 2
        values += patches * (3 * PATCH * PATCH + 3 * config.token_channels)
    value_bytes = 2 if config.resolved_amp(device.type) == "bf16" else 4
    return config.batch_size * values * value_bytes + 16 * trained


def folds_at_once(config: TrainConfig, execution: Execution, per_fold: int, free: int, folds: int) -> int:
    """How many of `folds` to train together: as chosen, or as many as fit in `free` bytes, or always as many."""
    if config.tuning == "full":
        return 1  # the backbone itself trains, so it cannot be shared
    fitting = execution.folds_at_once or (_FIXED if execution.deterministic else int(_SHARE * free / per_fold))
    return max(1, min(folds, fitting))
