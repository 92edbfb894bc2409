"""Runs of `mpt-train` that take a second."""

from pathlib import Path

import numpy as np

from train.results.run_folder import RunFolder

TINY = ("--backbone", "test_vit", "--random-weights", "--depth", 2, "--token-channels", 8, "--prompts", 2)
QUICK = (*TINY, "--epochs", 3, "--lr", 0.01, "--device", "cpu")
SUBJECTS = {"sub01": 5, "sub02": 7, "sub10": 4}
"""Clips of each subject, for `make_cache`."""


def logits_of(folder: Path) -> dict[str, np.ndarray]:
    """Fold → what it answered to the clips that it left out, (clips, classes)."""
    return {fold.name: fold.logits for fold in RunFolder(folder).read_folds()}
