"""The folder of a run: settings, one pair of files per fold, checkpoints, summary. JSON, CSV and safetensors only.

runs/<name>/config.json  env.json
            folds/<fold>.csv          data set, subject, clip, true class, predicted class, logits
            folds/<fold>.safetensors  features and kernels of the tested clips
            folds/<fold>.json         written last: the fold is done when it is there
            checkpoints/<fold>.safetensors
            overview.safetensors  summary.json  report/
"""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from data_cache.digest import changes
from data_cache.errors import InvalidFile, StaleFile, UsageError
from data_cache.files.atomic import write_bytes, write_json
from data_cache.protocols.protocol import ClipKey
from train.results.metrics import Prediction

RUNS = Path("runs")
"""Where runs go, below the folder that a command is started in."""
_IN_CONFIG = ("classes", "subjects", "caches", "protocol", "backbone_digest", "settings.random_weights")
_IN_SUMMARY = (
    *("clips", "subjects", "majority_baseline.accuracy", "fold_average.accuracy", "oracle_best_epoch.accuracy"),
    *(f"final_epoch.{name}" for name in ("interval_95.accuracy", "permutation_p", "confusion")),
)


@dataclass(frozen=True)
class FoldResult:
    """What one fold leaves behind.

    Attributes:
        name: `dataset__subject`, or what else was tested (`train.data.folds`).
        keys: data set, subject and clip of the tested clips.
        true: their classes.
        logits: (clips, classes), after the final epoch.
        epoch_predictions: (epochs, clips) predicted classes after every epoch.
        loss: training loss of every epoch.
        accuracy: training accuracy of every epoch.
        seconds: wall time of its group divided by the folds in it.
        traces: arrays with one row per clip: `features` (clips, D), and `mu` and `sigma` (clips, m) in
            frames, where there are motion prompts.
    """

    name: str
    keys: tuple[ClipKey, ...]
    true: np.ndarray
    logits: np.ndarray
    epoch_predictions: np.ndarray
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    train_clips: int
    seed: int
    seconds: float
    traces: Mapping[str, np.ndarray]

    @property
    def predicted(self) -> np.ndarray:
        """Predicted classes after the final epoch."""
        return np.asarray(self.logits.argmax(1))


@dataclass(frozen=True)
class Run:
    """A finished run, read once from its folder: see `RunFolder.load`."""

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    summary: dict[str, Any]
    folds: list[FoldResult]
    overview: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def classes(self) -> list[str]:
        """Class names."""
        return list(self.config["classes"])

    @cached_property
    def predictions(self) -> list[Prediction]:
        """All tested clips, fold after fold."""
        return [
            Prediction(key, logits[None], (fold.name,), int(true))
            for fold in self.folds
            for key, true, logits in zip(fold.keys, fold.true, fold.logits, strict=True)
        ]


class RunFolder:
    """A run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> dict[str, Any]:
        """What decides the result: settings, caches, protocol, classes, backbone.

        Raises:
            UsageError: this is no run folder.
        """
        self._require_run()
        return self._read_json("config.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, host, device and command of the run."""
        return self._read_json("env.json")

    @property
    def summary(self) -> dict[str, Any]:
        """The scores.

        Raises:
            UsageError: the run is not finished.
        """
        if not self.is_finished:
            raise UsageError(f"{self.path} is not finished (no summary.json); run the same mpt-train command again")
        return self._read_json("summary.json")

    def start(self, config: Mapping[str, Any], environment: Mapping[str, Any], overwrite: bool) -> bool:
        """Begin a run or resume one; whether it is already finished.

        Raises:
            StaleFile: the folder holds a run with other settings, and `overwrite` is off.
        """
        if overwrite and self.path.exists():
            self._require_run()  # never delete a folder that is none
            shutil.rmtree(self.path)
        if (self.path / "config.json").exists():
            differing = changes(self.config, config)
            if differing:
                raise StaleFile(
                    f"{self.path} holds a run with other settings ({'; '.join(differing)}); "
                    "give this one another --name, or add --overwrite"
                )
        else:
            write_json(self.path / "config.json", config)
        write_json(self.path / "env.json", environment)
        return self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether all folds are done and summed up."""
        return (self.path / "summary.json").is_file()

    def finished(self, name: str) -> bool:
        """Whether a fold is done."""
        return (self.path / "folds" / f"{name}.json").exists()

    def checkpoint(self, name: str) -> Path:
        """Where a fold's trained weights are."""
        return self.path / "checkpoints" / f"{name}.safetensors"

    def write_fold(self, result: FoldResult, classes: Sequence[str]) -> None:
        """Store a fold: the predictions first, the JSON that makes it count last."""
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["dataset", "subject", "clip", "true", "predicted", *(f"logit_{name}" for name in classes)])
        for key, true, predicted, logits in zip(result.keys, result.true, result.predicted, result.logits, strict=True):
            writer.writerow([*key, classes[true], classes[predicted], *(repr(float(value)) for value in logits)])
        folder = self.path / "folds"
        write_bytes(folder / f"{result.name}.csv", table.getvalue().encode())
        write_bytes(folder / f"{result.name}.safetensors", save(dict(result.traces)))
        record = {
            "status": "done",
            "seed": result.seed,
            "train_clips": result.train_clips,
            "test_clips": len(result.keys),
            "seconds": round(result.seconds, 3),
            "loss": list(result.loss),
            "train_accuracy": list(result.accuracy),
            "epoch_predictions": result.epoch_predictions.tolist(),
        }
        write_json(folder / f"{result.name}.json", record)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Store the scores; the run is finished then."""
        write_json(self.path / "summary.json", summary)

    def read_folds(self) -> list[FoldResult]:
        """All finished folds, by name.

        Raises:
            InvalidFile: a file of a fold is missing or cannot be read.
        """
        classes = list(self.config["classes"])
        return [self._read_fold(path, classes) for path in sorted((self.path / "folds").glob("*.json"))]

    def load(self) -> Run:
        """The finished run with all that a report or a comparison needs.

        Raises:
            UsageError: this is no run folder, or the run is not finished.
            InvalidFile: a file of it is missing or damaged.
        """
        config, summary = self.config, self.summary
        try:
            for values, needed in ((config, _IN_CONFIG), (summary, _IN_SUMMARY)):
                for keys in needed:
                    reduce(lambda value, key: value[key], keys.split("."), values)
        except (KeyError, TypeError) as error:
            raise InvalidFile(f"{self.path}: config.json or summary.json lacks {error}; it is no run") from error
        folds = self.read_folds()
        lacking = sorted(set(config["subjects"]) - {fold.name for fold in folds})
        if lacking:
            raise InvalidFile(
                f"{self.path} lacks the folds {', '.join(lacking)}; delete summary.json and run the same mpt-train "
                "command again"
            )
        path = self.path / "overview.safetensors"
        try:
            overview = dict(load_file(path)) if path.exists() else {}
        except (SafetensorError, OSError) as error:
            raise InvalidFile(f"{path} is damaged ({error}); delete it and run mpt-train again") from error
        return Run(self.path, config, self.environment, summary, folds, overview)

    def _require_run(self) -> None:
        if not (self.path / "config.json").is_file():
            raise UsageError(f"{self.path} is no run folder (it has no config.json); runs of mpt-train lie in runs/")

    def _read_fold(self, path: Path, classes: list[str]) -> FoldResult:
        table = path.with_suffix(".csv")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            with table.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            return FoldResult(
                name=path.stem,
                keys=tuple(({**record, **row}["dataset"], {**record, **row}["subject"], row["clip"]) for row in rows),
                true=np.array([classes.index(row["true"]) for row in rows]),
                logits=np.array([[float(row[f"logit_{name}"]) for name in classes] for row in rows], np.float32),
                epoch_predictions=np.array(record["epoch_predictions"]),
                loss=tuple(record["loss"]),
                accuracy=tuple(record["train_accuracy"]),
                train_clips=record["train_clips"],
                seed=record["seed"],
                seconds=record["seconds"],
                traces=load_file(path.with_suffix(".safetensors")),
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InvalidFile(
                f"{path} or a file beside it is missing or damaged ({type(error).__name__}: {error}); delete "
                f"{path.with_suffix('.*')} and run the same mpt-train command again"
            ) from error

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidFile(f"{self.path / name} is missing or damaged ({error})") from error
        if not isinstance(value, dict):
            raise InvalidFile(f"{self.path / name} does not hold a JSON object")
        return value
