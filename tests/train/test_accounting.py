"""The paper's accounting in exact integers (three classes, 224 pixels, 16 frames), and the page that shows it."""

import dataclasses
from pathlib import Path

import pytest
from accounting_page import SMIC, agrees, page

from train.config import TrainConfig
from train.cost.accounting import account, meta_model
from train.model.build import Shape
from train.model.mpt import trained_parameters
from train.paper.presets import PRESETS, ROWS, PaperRow

PAGE = Path(__file__).parents[2] / "docs/explanation/accounting.md"
COUNTS = {
    "mpt": 5_509_517,
    "motion-prompt": 201_101,
    "group-adapter": 3_541_251,
    "vpt-shallow": 5_464_323,
    "vpt-deep": 5_771_523,
    "primitive": 1_970_573,
    "head": 2_307,
    "scratch": 85_800_963,
    "full": 85_800_963,
    "1": 5_508_485,
    "3": 5_509_001,
    "5": 5_509_517,
    "7": 5_510_033,
    "r4": 10_817_933,
    "r8": 5_509_517,
    "r12": 3_740_045,
}
BACKBONES = {"vit-b16": 85_798_656, "vit-b32": 87_455_232, "clip-vit-b16": 85_799_424, "clip-vit-b32": 87_456_000}


def config_of(name: str) -> TrainConfig:
    return dataclasses.replace(TrainConfig(), **ROWS[name].settings)


def test_no_row_of_the_paper_is_left_out() -> None:
    assert {name for name, row in ROWS.items() if row.tables != "X"} == set(COUNTS) | set(BACKBONES)


@pytest.mark.parametrize("name", COUNTS)
def test_trained_parameters_of_the_papers_rows(name: str) -> None:
    counted, row = account(config_of(name), SMIC), ROWS[name]
    assert counted.trained_total == COUNTS[name]
    assert agrees(row, counted) == (not row.note) or not row.millions


def test_macs_of_the_full_model() -> None:
    counted = account(TrainConfig(), SMIC)
    assert f"{counted.macs / 1e9:.1f}" == "18.7"
    # By hand: 202 tokens through 12 blocks, their attention, patches, adapters, and the motion convolution.
    tokens, dim, depth = 202, 768, 12
    blocks = 12 * dim * dim * depth * tokens + 2 * tokens * tokens * dim * depth
    patches, motion = 196 * 768 * dim, 16 * 196 * 768 * 128
    adapters = 2 * dim * (dim // 8) * depth * tokens
    assert counted.macs == pytest.approx(blocks + patches + motion + adapters, rel=1e-4)
    assert counted.macs_shortcut < counted.macs


@pytest.mark.parametrize("name", BACKBONES)
def test_frozen_backbones_have_timms_sizes(name: str) -> None:
    counted = account(config_of(name), SMIC)
    assert counted.trained_total == 5_509_517 and counted.total - counted.trained_total == BACKBONES[name]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built(name: str) -> None:
    config = dataclasses.replace(TrainConfig(), **PRESETS[name].settings)
    assert trained_parameters(meta_model(config, Shape(5, 16, 224)))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"run: python docs/hooks/accounting_page.py > {PAGE}"


@pytest.mark.parametrize(
    ("printed", "agreed"), [("5.5", True), ("6", True), ("5.51", True), ("5.6", False), ("5.500", False)]
)
def test_rounding_decides_whether_a_row_agrees(printed: str, agreed: bool) -> None:
    assert agrees(PaperRow("MPT", millions=printed), account(TrainConfig(), SMIC)) == agreed  # 5,509,517
