"""What a model costs: parameters by part, multiply–adds, memory, steps; beside what the paper prints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from train.config import TrainConfig
from train.model.backbone import Backbone
from train.model.build import Shape, assemble_model
from train.model.mpt import MPT, Inputs, trained_parameters
from train.model.tokenizer import PATCH
from train.paper.presets import PRESETS


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


@dataclass(frozen=True)
class PaperRow:
    """A row of a table of the paper.

    Attributes:
        table: its number.
        label: the row's name there.
        printed: trained parameters in millions, as printed.
        config: our settings for it.
        note: why the printed number differs from ours, where it does.
    """

    table: str
    label: str
    printed: str
    config: TrainConfig
    note: str = ""


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


def paper_rows() -> list[PaperRow]:
    """The rows of Tables V to IX and XI and of Fig. 5 that name a model, with our settings for each."""
    base = TrainConfig()
    mpt, settings = replace(base), {name: replace(base, **preset.settings) for name, preset in PRESETS.items()}
    without_pre_logits = (
        "the backbone is 85,798,656 (timm); 86.4 needs 590,592 more, a 768→768 representation layer "
        "that older checkpoints have and timm drops"
    )
    return [
        PaperRow("V, VI", "MPT", "5.5", mpt),
        PaperRow("VI", "w/o pretraining", "86.4", settings["scratch"], without_pre_logits),
        PaperRow("VI", "full fine-tuning", "86.4", settings["full"], without_pre_logits),
        PaperRow(
            "VI",
            "partial fine-tuning",
            "0.003",
            settings["head"],
            "768·3 + 3 prints as 0.002; a head with a trained class token (3,075) or rounding up would print 0.003",
        ),
        PaperRow("VI, VIII", "motion prompt", "0.2", settings["motion-prompt"]),
        PaperRow("VI, VII", "group adapter, w/o prompt", "3.5", settings["group-adapter"]),
        PaperRow("VII", "VPT-Shallow (200 prompts)", "5.5", settings["vpt-shallow"]),
        PaperRow("VII", "VPT-Deep (50 prompts)", "5.8", settings["vpt-deep"]),
        PaperRow("VIII", "primitive adapter", "2.0", settings["primitive"]),
        *(PaperRow("Fig. 5", f"{count} motion prompts", "", replace(base, prompts=count)) for count in (1, 3, 5, 7)),
        *(PaperRow("IX", label, "", replace(base, backbone=name)) for label, name in TABLE_IX.items()),
        *(PaperRow("XI", f"r = {reduction}", "", replace(base, reduction=reduction)) for reduction in (4, 8, 12)),
    ]


TABLE_IX = {
    "ViT-B/16": "vit_base_patch16_224.augreg_in21k",
    "ViT-B/32": "vit_base_patch32_224.augreg_in21k",
    "CLIP-ViT-B/16": "vit_base_patch16_clip_quickgelu_224.openai",
    "CLIP-ViT-B/32": "vit_base_patch32_clip_quickgelu_224.openai",
}
"""Backbones of Table IX. The plain clip names of timm build the wrong GELU for OpenAI's weights."""


def account_json(counted: Account) -> dict[str, Any]:
    """An account as a JSON object."""
    return {**vars(counted), "trained_total": counted.trained_total}


def account_lines(counted: Account) -> Sequence[tuple[str, str]]:
    """An account as (name, value) pairs for people."""
    frozen = counted.total - counted.trained_total
    return [
        *((f"trained: {part}", f"{count:,}") for part, count in counted.trained.items()),
        ("trained in all", f"{counted.trained_total:,} ({counted.trained_total / 1e6:.1f} M)"),
        ("frozen", f"{frozen:,}"),
        ("multiply–adds per clip", f"{counted.multiply_adds / 1e9:.1f} G (the paper's GFLOPs)"),
        ("with the class-token shortcut", f"{counted.multiply_adds_shortcut / 1e9:.1f} G"),
    ]
