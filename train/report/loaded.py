"""Everything that a report needs to know of a run, read once from its folder."""

from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.special import softmax

from data_cache.errors import InvalidFile
from train.results.run_folder import FoldResult, RunFolder

_IN_CONFIG = ("classes", "subjects", "caches", "protocol", "backbone_digest", "settings.random_weights")
_IN_SUMMARY = (
    "clips",
    "subjects",
    "final_epoch.interval_95.accuracy",
    "final_epoch.permutation_p",
    "final_epoch.confusion",
    "majority_baseline.accuracy",
    "fold_average.accuracy",
    "oracle_best_epoch.accuracy",
)


@dataclass(frozen=True)
class Prediction:
    """One tested clip.

    Attributes:
        key: data set, subject and clip.
        true: its class.
        probabilities: softmax of its logits, (classes,).
    """

    key: tuple[str, str, str]
    true: int
    probabilities: np.ndarray

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def right(self) -> bool:
        """Whether that is the true one."""
        return self.predicted == self.true


@dataclass(frozen=True)
class LoadedRun:
    """A finished run."""

    name: str
    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    summary: dict[str, Any]
    folds: list[FoldResult]

    @property
    def classes(self) -> list[str]:
        """Class names."""
        return list(self.config["classes"])

    @cached_property
    def predictions(self) -> list[Prediction]:
        """All tested clips, fold after fold."""
        return [
            Prediction((fold.dataset, fold.subject, clip), int(true), softmax(logits.astype(np.float64)))
            for fold in self.folds
            for clip, true, logits in zip(fold.clips, fold.true, fold.logits, strict=True)
        ]

    @cached_property
    def overview(self) -> dict[str, np.ndarray]:
        """Features of all clips under one fold's model; empty where the run has none.

        Raises:
            InvalidFile: the file is damaged.
        """
        path = self.folder / "overview.safetensors"
        if not path.exists():
            return {}
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise InvalidFile(f"{path} is damaged ({error}); delete it and run mpt-train again") from error


def load_run(path: Path) -> LoadedRun:
    """Read a finished run.

    Raises:
        UsageError: `path` is no run folder, or the run is not finished.
        InvalidFile: a file of it is missing or damaged.
    """
    run = RunFolder(path)
    config, summary = run.config, run.summary
    try:
        for values, needed in ((config, _IN_CONFIG), (summary, _IN_SUMMARY)):
            for keys in needed:
                reduce(lambda value, key: value[key], keys.split("."), values)
    except (KeyError, TypeError) as error:
        raise InvalidFile(f"{path}: config.json or summary.json lacks {error}; it is no run of mpt-train") from error
    folds = run.read_folds()
    lacking = sorted(set(config["subjects"]) - {fold.name for fold in folds})
    if lacking:
        raise InvalidFile(
            f"{path} lacks the folds {', '.join(lacking)}; delete summary.json and run the same mpt-train command again"
        )
    loaded = LoadedRun(path.resolve().name, path, config, run.environment, summary, folds)
    loaded.overview  # noqa: B018 - damage shows here, not after minutes of drawing
    return loaded
