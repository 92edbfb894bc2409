"""The paper's accounting in exact integers (three classes, 224 pixels, 16 frames), and the page that shows it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from train.config import TrainConfig
from train.cost.accounting import TABLE_IX, PaperRow, account, paper_rows
from train.cost.accounting_page import SMIC, agrees, page
from train.model.build import Shape
from train.paper.presets import PRESETS

PAGE = Path(__file__).parents[2] / "docs/accounting.md"
COUNTS = {
    "MPT": 5_509_517,
    "motion prompt": 201_101,
    "group adapter, w/o prompt": 3_541_251,
    "VPT-Shallow (200 prompts)": 5_464_323,
    "VPT-Deep (50 prompts)": 5_771_523,
    "primitive adapter": 1_970_573,
    "partial fine-tuning": 2_307,
    "w/o pretraining": 85_800_963,
    "full fine-tuning": 85_800_963,
    "1 motion prompts": 5_508_485,
    "3 motion prompts": 5_509_001,
    "5 motion prompts": 5_509_517,
    "7 motion prompts": 5_510_033,
    "r = 4": 10_817_933,
    "r = 8": 5_509_517,
    "r = 12": 3_740_045,
    **dict.fromkeys(TABLE_IX, 5_509_517),
}


@pytest.mark.parametrize("row", paper_rows(), ids=lambda row: row.label)
def test_trained_parameters_of_the_papers_rows(row: Any) -> None:
    counted = account(row.config, Shape(3, 16, 224))
    assert counted.trained_total == COUNTS[row.label]
    if row.printed and not row.note:
        digits = len(row.printed.partition(".")[2])
        assert f"{counted.trained_total / 1e6:.{digits}f}" == row.printed
    elif row.printed:
        assert f"{counted.trained_total / 1e6:.1f}" != row.printed


def test_multiply_adds_of_the_full_model() -> None:
    counted = account(TrainConfig(), Shape(3, 16, 224))
    assert f"{counted.multiply_adds / 1e9:.1f}" == "18.7"
    # By hand: 202 tokens through 12 blocks, their attention, patches, adapters, and the motion convolution.
    tokens, dim, depth = 202, 768, 12
    blocks = 12 * dim * dim * depth * tokens + 2 * tokens * tokens * dim * depth
    patches, motion = 196 * 768 * dim, 16 * 196 * 768 * 128
    adapters = 2 * dim * (dim // 8) * depth * tokens
    assert counted.multiply_adds == pytest.approx(blocks + patches + motion + adapters, rel=1e-4)
    assert counted.multiply_adds_shortcut < counted.multiply_adds


def test_frozen_backbones_have_timms_sizes() -> None:
    sizes = {"ViT-B/16": 85_798_656, "ViT-B/32": 87_455_232, "CLIP-ViT-B/16": 85_799_424, "CLIP-ViT-B/32": 87_456_000}
    for label, name in TABLE_IX.items():
        counted = account(TrainConfig(backbone=name), Shape(3, 16, 224))
        assert counted.total - counted.trained_total == sizes[label]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built(name: str) -> None:
    config = dataclasses.replace(TrainConfig(), **PRESETS[name].settings)
    assert account(config, Shape(5, 16, 224)).trained_total > 0


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m train.cost.accounting_page > docs/accounting.md"


def test_rounding_decides_whether_a_row_agrees() -> None:
    counted = account(TrainConfig(), SMIC)  # 5,509,517
    assert [printed for printed in ("5.5", "6", "5.51", "5.6", "5.500") if agrees(row(printed), counted)] == [
        "5.5",
        "6",
        "5.51",
    ]


def row(printed: str) -> PaperRow:
    return PaperRow("V", "MPT", printed, TrainConfig())
