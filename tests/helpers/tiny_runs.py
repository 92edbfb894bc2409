"""Runs of `mpt-train` that take a second, and reports whose figures are not drawn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from train.results.fold_record import FoldResult
from train.results.run_folder import RunFolder

TINY = ("--backbone", "test_vit", "--random-weights", "--depth", 2, "--token-channels", 8, "--prompts", 2)
QUICK = (*TINY, "--epochs", 3, "--lr", 0.01, "--device", "cpu")
SUBJECTS = {"sub01": 5, "sub02": 7, "sub10": 4}
"""Clips of each subject, for `make_cache`."""


def logits_of(folder: Path) -> dict[str, np.ndarray]:
    """Fold → what it answered to the clips that it left out, (clips, classes)."""
    return {fold.name: fold.logits for fold in RunFolder(folder).read_folds()}


def fold(
    subject: str, true: Sequence[int], epochs: Sequence[Sequence[int]], dataset: str = "set", classes: int = 4
) -> FoldResult:
    """A fold that took two seconds and predicts, after each epoch, what `epochs` says."""
    keys = tuple((dataset, subject, f"c{n}") for n in range(len(true)))
    logits, each = np.eye(classes, dtype=np.float32)[list(epochs[-1])], (1.0,) * len(epochs)
    name = f"{dataset}__{subject}"
    return FoldResult(name, keys, np.array(true), logits, np.array(epochs), each, each, 9, 0, 2.0, {})


@contextmanager
def undrawn(texts: bool = False) -> Iterator[None]:
    """Figures are put together but not drawn, which takes most of a report's time: a black pixel stands for each.

    With `texts`, every text is set as it would be drawn.
    """
    set_texts, draw = Figure.draw_without_rendering, Figure.savefig

    def save(figure: Figure, path: Any, **options: Any) -> None:
        if not isinstance(path, Path):
            return draw(figure, path, **options)
        if texts:
            set_texts(figure)
        cv2.imwrite(str(path), np.zeros((1, 1, 3))) if path.suffix == ".png" else path.touch()
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        patch.setattr(Figure, "draw_without_rendering", lambda figure: None)  # `save` may do it
        yield
