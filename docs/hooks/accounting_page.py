"""The page `docs/explanation/accounting.md`: what the paper prints beside what we count, made from the code.

python docs/hooks/accounting_page.py > docs/explanation/accounting.md
"""

from collections.abc import Iterator
from dataclasses import replace

from train.config import TrainConfig
from train.cost.accounting import Account, account
from train.model.build import Shape
from train.paper.presets import ROWS, PaperRow

SMIC = Shape(classes=3, frames=16, size=224)
"""What the paper's ablations were counted on."""

_INTRODUCTION = """# Accounting

Parameters and MACs of every model that the paper counts, beside what it prints. The page is made by
`python docs/hooks/accounting_page.py`, and a test fails when it is out of date. `mpt-train --dry-run` (with `--json`
for programs) prints the same for your own settings and data.

All rows: three classes, as in the paper's ablations on SMIC, 16 frames of 224 × 224, one fold.

## Trained parameters
"""
_AFTER_ROWS = """
**Agrees** means that our exact count, rounded as the paper rounds, is what the paper prints. "—" means that the paper
prints no number for the row.
"""
_READINGS = """
## What the numbers decide

The paper's text leaves the sizes of the layers open. These readings fit its tables, and others that we tried do not:

- **Adapters without biases.** Two branches then count 3,541,251 with the head, printed as 3.5. With biases in both
  layers it would be 3.56 million, which prints as 3.6.
- **A 16 × 16 convolution to 128 channels** for the motion frames, pooled to one value per channel. Of the plain patch
  convolutions, which cut frames as the ViT does, it is the one that gives both 5.5 M and 18.7 G. Some unusual ones
  (14 × 14 patches, 3 × 3 kernels with a stride of 4 and 224 or 256 channels) fit as well.
- **VPT-Shallow with 200 prompts and VPT-Deep with 50.** Of 1, 5, 10, 50, 100 and 200 prompts, these alone give the 5.5
  and 5.8 that are printed. They are not one number of prompts.
- **FLOPs are MACs** (multiply–accumulate operations), the products of the attention included.

The counts cannot tell apart the two readings of the adapters' averages (`--adapter-mean none` and `cross`): both have
the same parameters.
"""


def page() -> str:
    """The page as Markdown."""
    rows = [(row, account(replace(TrainConfig(), **row.settings), SMIC)) for row in ROWS.values() if row.tables != "X"]
    mpt = rows[0][1]
    return "\n".join([_INTRODUCTION, *_row_table(rows), _AFTER_ROWS, *_mismatches(rows), *_parts(mpt), _READINGS])


def agrees(row: PaperRow, counted: Account) -> bool:
    """Whether our count, rounded as the paper rounds, is what it prints."""
    decimals = len(row.millions.partition(".")[2])
    return f"{counted.trained_total / 1e6:.{decimals}f}" == row.millions


def _row_table(rows: list[tuple[PaperRow, Account]]) -> Iterator[str]:
    yield "| table | row | printed, M | ours | agrees | MACs, G |"
    yield "|---|---|---:|---:|---|---:|"
    for row, counted in rows:
        verdict = ("yes" if agrees(row, counted) else "**no**") if row.millions else ""
        yield (
            f"| {row.tables} | {row.label} | {row.millions or '—'} | {counted.trained_total:,} | {verdict} | "
            f"{counted.macs / 1e9:.2f} |"
        )


def _mismatches(rows: list[tuple[PaperRow, Account]]) -> Iterator[str]:
    yield "## Where we cannot agree\n"
    reasons = dict.fromkeys(row.note for row, _ in rows if row.note)
    for reason in reasons:
        labels = [row.label for row, _ in rows if row.note == reason]
        yield f"- **{' and '.join(labels)}**: {reason}."


def _parts(mpt: Account) -> Iterator[str]:
    yield "\n## MPT, part by part\n"
    yield "| part | trained parameters |"
    yield "|---|---:|"
    for part, count in mpt.trained.items():
        yield f"| {part} | {count:,} |"
    yield f"| in all | {mpt.trained_total:,} |"
    yield f"\nThe frozen backbone has {mpt.total - mpt.trained_total:,}."
    yield (
        f"\nThe forward pass of a clip takes {mpt.macs / 1e9:.2f} G MACs as the equations read (the "
        f"paper: 18.7 GFLOPs), and {mpt.macs_shortcut / 1e9:.2f} G as we compute it: after the last block "
        "only the class token is read, so only that one is computed there. This is exact."
    )


if __name__ == "__main__":
    print(page(), end="")
