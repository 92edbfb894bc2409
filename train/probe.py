"""The probe: ridge regression on features of the frozen backbone, in a minute, before anything is trained.

It answers whether backbone, crop and recipe carry signal. Each clip is its class token (what the backbone pools) of
three images: the onset frame, the dynamic image, and the middle frame of the magnified motion. The penalty, and the
recipe where there are several caches of the same clips, are chosen for each fold by its training clips alone: by the
macro-F1 of subjects left out one by one, which ridge regression has in closed form.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from data_cache.console.commandline import progress
from data_cache.errors import UsageError
from train.config import TrainConfig
from train.data.folds import Fold, used_clips
from train.data.task import ClipPixels, ClipSet, Task
from train.loop import precision
from train.model.backbone import Backbone
from train.model.build import build_model
from train.model.mpt import Inputs
from train.results.fold_record import FoldResult
from train.results.metrics import confusion_matrix, pooled

PENALTIES = 10.0 ** np.arange(-4, 5)
"""Values of λ, as multiples of the mean squared length of the centred training features."""

Grams = Mapping[str, np.ndarray]
"""Image → products of the features of all clips, (clips, clips)."""


def probe_folds(
    task: Task, config: TrainConfig, backbone: Backbone, device: torch.device, folds: Sequence[Fold]
) -> Iterator[FoldResult]:
    """The predictions of each fold: from all images together, and as traces from each alone.

    Traces are `alone_<image>` (classes), `recipe` (its number) and `penalty` that were chosen, and `features`.
    """
    used = used_clips(folds)
    features = [_features(task, clips, used, config, backbone, device) for clips in (task.clips, *task.recipes)]
    recipes = [{name: values @ values.T for name, values in each.items()} for each in features]
    stacked = np.concatenate(list(features[0].values()), 1, dtype=np.float32)
    for fold in folds:
        train, test = np.array(fold.train), np.array(fold.test)
        labels = task.labels(fold.train, fold.shuffle)
        subjects = np.array(["/".join(task.clips.keys[clip][:2]) for clip in fold.train])
        choice = (train, test, labels, subjects, len(task.labelling.classes))
        scores, fitted, recipe, penalty = best_ridge(recipes, *choice)
        alone = {
            f"alone_{name}": best_ridge([{name: each[name]} for each in recipes if name in each], *choice)[0].argmax(1)
            for name in dict.fromkeys(name for each in recipes for name in each)
        }
        targets, logits = np.eye(len(task.labelling.classes))[labels], scores.astype(np.float32)
        yield FoldResult(
            name=fold.name,
            keys=tuple(task.clips.keys[clip] for clip in fold.test),
            true=task.labels(fold.test, fold.shuffle),
            logits=logits,
            epoch_predictions=logits.argmax(1)[None],
            loss=(float(((fitted - targets) ** 2).sum(1).mean()),),
            accuracy=(float((fitted.argmax(1) == labels).mean()),),
            train_clips=len(train),
            seed=fold.seed(config.seed),
            seconds=0.0,
            traces={
                **alone,
                "recipe": np.full(len(test), recipe),
                "penalty": np.full(len(test), penalty),
                "features": stacked[test],
            },
        )


def best_ridge(
    recipes: Sequence[Grams],
    train: np.ndarray,
    test: np.ndarray,
    labels: np.ndarray,
    subjects: np.ndarray,
    classes: int,
) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Ridge regression of the classes, with the recipe and the penalty that are best on left-out training subjects.

    Images of a recipe count alike; `labels` and `subjects` are those of the training clips. The answer is scores of
    the test clips (clips, classes), fitted ones of the training clips, the number of the recipe, and the penalty.
    """
    targets, everyone = np.eye(classes)[labels], np.r_[train, test]
    best: tuple[Any, ...] = ()
    for number, grams in enumerate(recipes):
        gram = np.mean([_centred(each[np.ix_(everyone, train)], len(train)) for each in grams.values()], 0)
        values, vectors = np.linalg.eigh(gram[: len(train)])
        for penalty in PENALTIES[::-1]:  # of two that are equally good, the larger
            shrink = values.clip(0) / (values.clip(0) + penalty)
            guesses = left_out(vectors, shrink, targets, subjects).argmax(1)
            score = pooled(confusion_matrix(labels.tolist(), guesses.tolist(), classes))["macro_f1"]
            if not best or score > best[0]:
                best = score, number, penalty, gram, values.clip(0), vectors
    _, number, penalty, gram, values, vectors = best
    mean = targets.mean(0)
    answers = mean + gram @ (vectors / (values + penalty) @ vectors.T @ (targets - mean))
    return answers[len(train) :], answers[: len(train)], number, float(penalty)


def left_out(vectors: np.ndarray, shrink: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """What ridge regression answers for each group when it is fitted to the others, at the same λ: (clips, classes).

    Exact: with the smoother H of all clips (its intercept included), the residuals of a group g left out are
    (1 − H_gg)⁻¹ times those of the fit to all. `vectors` (clips, clips) are eigenvectors of the centred products of
    features, and `shrink` is v / (v + λ) of their eigenvalues v.
    """
    mean = targets.mean(0)
    residuals = targets - mean - (vectors * shrink) @ (vectors.T @ (targets - mean))
    found = np.empty_like(targets)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        smoother = (vectors[rows] * shrink) @ vectors[rows].T + 1 / len(targets)
        found[rows] = targets[rows] - np.linalg.lstsq(np.eye(len(rows)) - smoother, residuals[rows], rcond=None)[0]
    return found


def _centred(gram: np.ndarray, train: int) -> np.ndarray:
    """Products (clips, training clips) of features less their training mean, which come first; mean length 1."""
    inner = gram[:train]
    centred = gram - gram.mean(1, keepdims=True) - inner.mean(0) + inner.mean()
    return np.asarray(centred / max(np.trace(centred[:train]) / train, 1e-12))


@torch.inference_mode()
def _features(
    task: Task, clips: ClipSet, used: Sequence[int], config: TrainConfig, backbone: Backbone, device: torch.device
) -> dict[str, np.ndarray]:
    """Image → what the backbone pools of it, float64 (clips, D); zeros for clips that no fold uses."""
    model = build_model(replace(config, tuning="prompt"), backbone, task.shape, [0]).to(device).eval()
    pixels = {"dynamic": ClipPixels(clips, replace(config, image="dynamic"))}
    with suppress(UsageError):  # some recipes change the onset frame: then there is no control
        pixels["onset"] = ClipPixels(clips, replace(config, image="onset"))
    found = {name: np.zeros((len(clips), backbone.dim)) for name in (*pixels, "magnified")}
    with progress("reading the cache through the backbone", len(used), "clips") as advance:
        for clip in used:
            images = [each[clip][0] for each in pixels.values()]
            images.append(torch.from_numpy(clips.read("motion", clip)[clips.frames // 2]))
            inputs = Inputs(torch.stack(images).to(device), torch.arange(len(images), device=device)[None], None)
            with precision(config, device):
                tokens = model.features(inputs)[0].double().cpu().numpy()
            for name, token in zip(found, tokens, strict=True):
                found[name][clip] = token
            advance(1, "")
    clips.require_unchanged()
    return found
