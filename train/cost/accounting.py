"""What a model costs: parameters by part, MACs, memory, and how many folds fit into it."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from train.config import Execution, TrainConfig
from train.device import arithmetic
from train.model.backbone import Backbone
from train.model.build import Shape, assemble_model
from train.model.mpt import MPT, Inputs, trained_parameters
from train.model.tokenizer import PATCH

_BLOCK_BYTES = {"bf16": (28, 33), "tf32": (48, 49), "fp32": (48, 49)}
"""Per token and channel: kept of each block for the backward pass; alive inside a block where nothing is kept."""
_TRAINED_BYTES, _ADAM_BYTES = 16, 36  # per trained parameter: value, gradient and state; at most during Adam's step
_SHARE = 0.6  # of the free memory; the rest is for kernels' workspaces and other users
_FIXED = 4  # folds with --deterministic: they decide about the last bits, so they must not depend on the memory


@dataclass(frozen=True)
class Account:
    """What one fold costs.

    Attributes:
        trained: part of the model → trained parameters.
        macs: of one clip's forward pass, as the equations read. The paper's "FLOPs" are these.
        macs_shortcut: the same, with only the class token computed in the last block.
    """

    trained: dict[str, int]
    total: int
    macs: int
    macs_shortcut: int

    @property
    def trained_total(self) -> int:
        """All trained parameters."""
        return sum(self.trained.values())


@lru_cache(maxsize=64)  # half a second each, and the paper's rows repeat each other
def account(config: TrainConfig, shape: Shape) -> Account:
    """Count everything; nothing is computed, and no weights are needed."""
    backbone = meta_backbone(config, shape.size)
    with torch.device("meta"):
        model = assemble_model(config, backbone, shape, 1)
    counted = {name: parameter.numel() for name, parameter in trained_parameters(model).items()}
    parts: dict[str, int] = {}
    for name, count in counted.items():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + count
    inputs = noise(shape, 1, replace(config, batch_size=1), torch.device("meta"))
    full, short = (_macs(model, inputs, shortcut) for shortcut in (False, True))
    return Account(parts, sum(parameter.numel() for parameter in model.parameters()), full, short)


def meta_backbone(config: TrainConfig, size: int) -> Backbone:
    """The backbone of `config` without values: shapes only."""
    from train.model.weights import create_vit

    with torch.device("meta"):
        return Backbone(create_vit(config, size), trainable=config.tuning == "full")


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
    usable = model.shortcut
    model.shortcut = shortcut and usable
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(inputs)
    model.shortcut = usable
    return int(counter.get_total_flops()) // 2  # PyTorch counts a MAC as two


def bytes_per_fold(config: TrainConfig, backbone: Backbone, shape: Shape, trained: int, device: torch.device) -> int:
    """Estimated peak memory of one fold, to 15 %: what its batch leaves for the backward pass, and its own weights.

    Of the last block only the class token is computed, and where nothing before the head trains, nothing is kept.
    """
    amp = arithmetic(config.amp, device)
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
