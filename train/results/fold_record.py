"""The files of one fold, and JSON that says itself whether it is still what was written."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from data_cache.digest import digest
from data_cache.errors import InvalidFile
from data_cache.files.atomic import file_sha256, write_bytes, write_json
from data_cache.protocols.protocol import ClipKey
from train.results.forms import FOLD, Form, misfit, name
from train.results.metrics import confusion_matrix


@dataclass(frozen=True)
class FoldResult:
    """What one fold leaves behind.

    Attributes:
        name: `dataset__subject`, or what else was tested (`train.data.folds`).
        keys: data set, subject and clip of the tested clips.
        logits: (clips, classes), after the final epoch.
        epoch_predictions: (epochs, clips) predicted classes after every epoch.
        loss: in training, of every epoch; `accuracy` likewise.
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

    @property
    def confusion(self) -> np.ndarray:
        """The confusion matrix of that, (classes, classes)."""
        return confusion_matrix(self.true, self.predicted, self.logits.shape[1])


def write_record(path: Path, value: Mapping[str, Any]) -> None:
    """Store a JSON object together with its own digest."""
    write_json(path, {**value, "digest": digest(value)})


def read_record(path: Path, form: dict[Any, Form] | None = None) -> dict[str, Any]:
    """A stored JSON object; those of earlier versions carry no digest and are taken as they are.

    An InvalidFile if it is missing, damaged, no JSON object, or not of the form.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        noted = value.pop("digest", None) if isinstance(value, dict) else None
        damaged = noted is not None and digest(value) != noted
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is missing or damaged ({error})") from error
    if damaged:
        raise InvalidFile(f"{path} is damaged (its digest differs); {_advice(path)}")
    if (where := misfit(value, form or {})) is not None:
        raise InvalidFile(f"{path}: {where[:100]} is missing, or not what mpt-train writes there; {_advice(path)}")
    return dict(value)


def write_fold(
    path: Path, result: FoldResult, classes: Sequence[str], more: Mapping[str, Any], beside: Sequence[Path]
) -> None:
    """Store a fold: predictions and traces first; the JSON at `path`, with their hashes and `more`, last."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["dataset", "subject", "clip", "true", "predicted", *(f"logit_{name}" for name in classes)])
    for key, true, predicted, logits in zip(result.keys, result.true, result.predicted, result.logits, strict=True):
        writer.writerow([*key, classes[true], classes[predicted], *(repr(float(value)) for value in logits)])
    write_bytes(path.with_suffix(".csv"), table.getvalue().encode())
    write_bytes(path.with_suffix(".safetensors"), save(dict(result.traces)))
    files = [path.with_suffix(".csv"), path.with_suffix(".safetensors"), *beside]
    record = {
        "status": "done",
        "seed": result.seed,
        "train_clips": result.train_clips,
        "test_clips": len(result.keys),
        "seconds": round(result.seconds, 3),
        "loss": list(result.loss),
        "train_accuracy": list(result.accuracy),
        "epoch_predictions": result.epoch_predictions.tolist(),
        "sha256": {_key(path, file): file_sha256(file) for file in files},
        **more,
    }
    write_record(path, record)


def read_fold(path: Path, classes: list[str], of_config: str, beside: Sequence[Path] = ()) -> FoldResult:
    """The fold whose JSON is at `path`; `of_config` is the digest of its run's configuration.

    An InvalidFile if a file of it, or `beside` it, is missing, damaged or from a run with other settings, or holds
    numbers that are not finite.
    """
    record, table, traces = read_record(path, FOLD), path.with_suffix(".csv"), path.with_suffix(".safetensors")
    if record.get("config", of_config) != of_config:
        raise InvalidFile(f"{path} belongs to a run with other settings than its config.json; {_advice(path)}")
    check_files(path, record, [table, traces, *beside])
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = [{**record, **row} for row in csv.DictReader(file)]  # earlier versions said a fold's subject once
        result = FoldResult(
            name=path.stem,
            keys=tuple((row["dataset"], row["subject"], row["clip"]) for row in rows),
            true=np.array([classes.index(row["true"]) for row in rows]),
            logits=np.array([[float(row[f"logit_{name}"]) for name in classes] for row in rows], np.float32),
            epoch_predictions=np.array(record["epoch_predictions"]),
            loss=tuple(record["loss"]),
            accuracy=tuple(record["train_accuracy"]),
            train_clips=record["train_clips"],
            seed=int(record["seed"]),
            seconds=record["seconds"],
            traces=load_file(traces),
        )
        _check_fold(result, len(classes))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, csv.Error, SafetensorError) as error:
        raise InvalidFile(f"{path} or a file beside it is missing or damaged ({error!r}); {_advice(path)}") from error
    if not np.isfinite(result.logits).all():
        raise InvalidFile(f"{table} holds predictions that are not finite: its training diverged; use a lower --lr")
    return result


def _check_fold(fold: FoldResult, classes: int) -> None:
    clips, epochs = len(fold.keys), len(fold.loss)
    if not clips or not all(name(part) for key in fold.keys for part in key):
        raise ValueError("it names no clip, or one with an odd name")
    fit = fold.epoch_predictions.shape == (epochs, clips) and len(fold.accuracy) == epochs > 0
    if not fit or fold.epoch_predictions.max() >= classes:
        raise ValueError("its epochs do not fit each other, or its clips")
    for trace, values in fold.traces.items():
        shape, kind = (2, "f") if trace in ("features", "mu", "sigma") else (1, "fi")
        fits = values.ndim == shape and len(values) == clips and values.dtype.kind in kind
        if not fits or not np.isfinite(values).all():
            raise ValueError("its traces are not finite numbers, a row for each clip")
    if not (fold.traces.get("sigma", np.ones(1)) > 0).all():
        raise ValueError("its kernels have no width")


def check_together(folds: Sequence[FoldResult], overview: Mapping[str, np.ndarray], classes: int) -> None:
    """A ValueError or KeyError unless the arrays of all folds can be laid side by side, and the overview's too."""
    if len({(len(f.loss), *sorted((name, each.shape[1:]) for name, each in f.traces.items())) for f in folds}) != 1:
        raise ValueError("its folds do not fit each other")
    if not overview:
        return
    features, labels, test = (overview[name] for name in ("features", "labels", "test"))
    if features.ndim != 2 or features.dtype.kind != "f" or not np.isfinite(features).all():
        raise ValueError("features are no finite numbers")
    if not labels.shape == test.shape == features.shape[:1] or not np.isin(labels, range(classes)).all():
        raise ValueError("labels do not fit the features")
    if not np.isin(overview.get("fold", 0), range(len(folds))).all() or overview.get("fold", test).size < 1:
        raise ValueError("there is no such fold")


def check_files(path: Path, record: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Compare files of a fold with the hashes in its record; an InvalidFile if one is missing or differs."""
    noted = record.get("sha256") or {}
    for file in files:
        try:
            if _key(path, file) in noted and file_sha256(file) != noted[_key(path, file)]:
                raise InvalidFile(f"{file} is damaged (its SHA-256 differs); {_advice(path)}")
        except OSError as error:
            raise InvalidFile(f"{file} cannot be read ({error.strerror}); {_advice(path)}") from error


def _key(path: Path, file: Path) -> str:
    return file.relative_to(path.parents[1]).as_posix()


def _advice(path: Path) -> str:
    return f"delete {path.with_suffix('.*')} and summary.json and run the same mpt-train command again"
