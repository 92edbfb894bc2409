"""The folder of a run: settings, one pair of files per fold, checkpoints, summary. JSON, CSV and safetensors only.

runs/<name>/config.json  env.json
            folds/<fold>.csv          data set, subject, clip, true class, predicted class, logits
            folds/<fold>.safetensors  features and kernels of the tested clips
            folds/<fold>.json         written last: the fold is done when it is there
            checkpoints/<fold>.safetensors
            null/<fold>.json      of a copy with shuffled labels (--null): its confusion matrix
            unfinished/               folds that are still in training
            overview.safetensors  summary.json  report/
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from data_cache.digest import changes, digest
from data_cache.errors import InvalidFile, Locked, StaleFile, UsageError
from data_cache.files.lock import lock_path, read_holder, writer_lock
from data_cache.names import first_few, name_problem
from train.results import fold_record
from train.results.fold_record import FoldResult, read_record, write_record
from train.results.forms import CONFIG, ENVIRONMENT, HASHES, SUMMARY
from train.results.metrics import Prediction, subject_matrices

RUNS = Path("runs")
"""Where runs go, below the folder that a command is started in."""
_PARTS = (
    *("summary.json", "env.json", "overview.safetensors", "MODEL_CARD.md"),
    *("folds", "null", "checkpoints", "unfinished", "report", "tensorboard"),
    "config.json",  # last, so that it stays a run till then
)
_LONGEST = 100  # characters of a difference


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

    @cached_property
    def subject_matrices(self) -> np.ndarray:
        """A confusion matrix for each subject, by name: (subjects, classes, classes)."""
        true, predicted = [p.true or 0 for p in self.predictions], [p.predicted for p in self.predictions]
        return subject_matrices(true, predicted, ["/".join(p.key[:2]) for p in self.predictions], len(self.classes))


class RunFolder:
    """A run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> dict[str, Any]:
        """What decides the result: settings, caches, protocol, classes, backbone; a UsageError if this is no run."""
        self._require_run()
        return read_record(self.path / "config.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, host, device and command of the run."""
        return read_record(self.path / "env.json")

    @property
    def summary(self) -> dict[str, Any]:
        """The scores; a UsageError if the run is not finished."""
        self._require_run(finished=True)
        return read_record(self.path / "summary.json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that trains this run while the block runs; Locked says which other one trains it."""
        try:
            with writer_lock(self.path):
                yield
        except Locked as error:
            holder = read_holder(lock_path(self.path)) or "another process"
            raise Locked(f"{self.path} is being trained by {holder}; wait for it, or choose another --name") from error

    def start(self, config: Mapping[str, Any], environment: Mapping[str, Any], overwrite: bool) -> bool:
        """Begin or resume a run; whether it is finished. A StaleFile if it has other settings, unless `overwrite`."""
        if overwrite and os.path.lexists(self.path):
            self._delete()
        if (self.path / "config.json").exists():
            if differing := _first_causes(changes(_by_dataset(self.config), _by_dataset(config))):
                advice = "give this one another --name, or add --overwrite"
                raise StaleFile(f"{self.path} holds a run with other settings ({differing}); {advice}")
        else:
            write_record(self.path / "config.json", config)
        write_record(self.path / "env.json", environment)
        for leftover in self.path.rglob("*.tmp-*"):  # of a process that was killed; the lock is held
            leftover.unlink(missing_ok=True)
        return self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether all folds are done and summed up."""
        return (self.path / "summary.json").is_file()

    def finished(self, name: str) -> bool:
        """Whether a fold, or a copy of one with shuffled labels, is done."""
        return any(self.place(part, name, ".json").exists() for part in ("folds", "null"))

    def checkpoint(self, name: str) -> Path:
        """Where a fold's trained weights are."""
        return self.place("checkpoints", name, ".safetensors")

    def check_checkpoint(self, name: str) -> None:
        """Compare a checkpoint with the hash that was noted when it was written; an InvalidFile if they differ."""
        path = self.checkpoint(name)
        for record in (self.place("folds", name, ".json"), path.with_suffix(".json")):
            if path.is_file() and record.is_file():
                fold_record.check_files(record, read_record(record, {"sha256": HASHES}), [path])

    def write_fold(self, result: FoldResult, group: Sequence[str], beside: Sequence[Path] = ()) -> None:
        """Store a fold that was trained with those of `group`.

        Files that lie `beside` it, such as the overview, belong to it as does its checkpoint, if there is one.
        """
        path, config = self.place("folds", result.name, ".json"), self.config
        files = [file for file in (self.checkpoint(result.name), *beside) if file.is_file()]
        fold_record.write_fold(path, result, config["classes"], {"config": digest(config), "group": list(group)}, files)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Store the scores; the run is finished then, and what was in training is forgotten."""
        shutil.rmtree(self.path / "unfinished", ignore_errors=True)
        write_record(self.path / "summary.json", summary)

    def read_folds(self, beside: Sequence[Path] = ()) -> list[FoldResult]:
        """All finished folds, by name; an InvalidFile if a file of one, or `beside` them, is missing or damaged."""
        config, paths = self.config, sorted((self.path / "folds").glob("*.json"))
        of_config = digest(config)
        return [fold_record.read_fold(path, config["classes"], of_config, beside) for path in paths]

    def load(self) -> Run:
        """The finished run with all that a report or a comparison needs.

        A UsageError if this is no run folder or not finished, an InvalidFile if a file of it is missing or damaged.
        """
        self._require_run(finished=True)
        forms = {"config": CONFIG, "summary": SUMMARY, "env": ENVIRONMENT}
        config, summary, environment = (read_record(self.path / f"{name}.json", form) for name, form in forms.items())
        classes, final = len(config["classes"]), summary["final_epoch"]
        if not classes or not config["caches"] or np.shape(final["confusion"]) != (classes, classes):
            raise InvalidFile(f"{self.path}: config.json and summary.json do not fit each other; it is no run")
        path = self.path / "overview.safetensors"
        folds = self.read_folds([path] if path.exists() else [])
        if lacking := ", ".join(sorted(set(config["subjects"]) - {fold.name for fold in folds})):
            raise InvalidFile(f"{self.path} lacks the folds {lacking}; delete summary.json and run mpt-train as before")
        try:
            overview = dict(load_file(path)) if path.exists() else {}
            fold_record.check_together(folds, overview, classes)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise InvalidFile(f"{path} is damaged ({error}); delete it and run mpt-train again") from error
        return Run(self.path, config, environment, summary, folds, overview)

    def _delete(self) -> None:
        """Delete the run and nothing else in its folder."""
        if self.path.is_symlink():
            raise UsageError(f"{self.path} is a link; --overwrite deletes runs only, so remove it yourself")
        if not {"settings", "protocol", "classes", "subjects", "caches"} <= set(self.config):
            raise UsageError(f"{self.path} is no run: its config.json is another program's; delete it yourself")
        for name in _PARTS:
            part = self.path / name
            shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _require_run(self, finished: bool = False) -> None:
        if not (self.path / "config.json").is_file():
            raise UsageError(f"{self.path} is no run folder (it has no config.json); runs of mpt-train lie in runs/")
        if finished and not self.is_finished:
            raise UsageError(f"{self.path} is not finished; run its command again, without --subjects and --folds")

    def place(self, folder: str, name: str, suffix: str) -> Path:
        """Where a file of the fold called `name` lies."""
        problem = name_problem("the name of a fold", name, most=200)
        if problem is None and os.name == "nt" and set(name) & set('<>:"|?*'):  # a ":" would hide the file
            problem = f"{name} cannot name a file on Windows; rename the subject, or train elsewhere"
        if problem is not None:
            raise InvalidFile(f"{self.path}: {problem}")
        return self.path / folder / f"{name}{suffix}"


def _first_causes(differing: Sequence[str]) -> str:
    """The first differences between two runs, what others follow from first, each cut to a length that can be read."""
    causes = [text for cause in ("settings.", "protocol", "caches.") for text in differing if text.startswith(cause)]
    rest = [text for text in differing if text not in causes]
    return first_few([text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in causes + rest])


def _by_dataset(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose caches have names, so that a difference between them can be named."""
    caches: dict[str, Any] = {}
    for cache in config.get("caches", []):
        caches[f"{cache['dataset']} of another recipe" if cache["dataset"] in caches else cache["dataset"]] = cache
    return {**config, "caches": caches}
