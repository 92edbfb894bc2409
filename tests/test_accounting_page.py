"""docs/accounting.md is what the code counts, and says so where the paper's number is another one."""

from pathlib import Path

from train.accounting import PaperRow, account
from train.accounting_page import SMIC, agrees, page
from train.config import TrainConfig

PAGE = Path(__file__).parents[1] / "docs/accounting.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m train.accounting_page > docs/accounting.md"


def test_rounding_decides_whether_a_row_agrees() -> None:
    counted = account(TrainConfig(), SMIC)  # 5,509,517
    assert [printed for printed in ("5.5", "6", "5.51", "5.6", "5.500") if agrees(row(printed), counted)] == [
        "5.5",
        "6",
        "5.51",
    ]


def row(printed: str) -> PaperRow:
    return PaperRow("V", "MPT", printed, TrainConfig())
