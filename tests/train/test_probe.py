"""The probe: ridge regression against scikit-learn, what may choose its settings, and its run from end to end."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commands import Command, MakeCache
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from tiny_runs import TINY

from train.probe import PENALTIES, best_ridge, left_out
from train.results.run_folder import RunFolder

CLIPS, CLASSES = 40, 3
SUBJECTS = np.repeat(np.arange(8), 5).astype(str)
PROBE = ("--preset", "probe", *TINY[:5], "--device", "cpu")


@pytest.fixture
def features(rng: np.random.Generator) -> np.ndarray:
    """(clips, D): more features than clips, as of a ViT."""
    return rng.normal(size=(CLIPS + 6, 60)) + rng.normal(size=60)


@pytest.fixture
def labels(rng: np.random.Generator, features: np.ndarray) -> np.ndarray:
    """Classes that the features know something of."""
    return (features[:CLIPS, :CLASSES] + 0.7 * rng.normal(size=(CLIPS, CLASSES))).argmax(1)


@pytest.mark.parametrize("penalty", [0.03, 1.0, 40.0])
def test_left_out_subjects_are_answered_as_by_ridge_regression_on_the_others(
    features: np.ndarray, labels: np.ndarray, penalty: float
) -> None:
    inner, targets = features[:CLIPS], np.eye(CLASSES)[labels]
    centred = inner - inner.mean(0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    ours = left_out(vectors, values / (values + penalty), targets, SUBJECTS)
    theirs = cross_val_predict(Ridge(penalty), inner, targets, groups=SUBJECTS, cv=LeaveOneGroupOut())
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_the_chosen_ridge_is_scikit_learns_on_images_that_count_alike(features: np.ndarray, labels: np.ndarray) -> None:
    train, test = np.arange(CLIPS), np.arange(CLIPS, CLIPS + 6)
    images = {"one": features[:, :25] * 30, "two": features[:, 25:]}
    grams = {name: values @ values.T for name, values in images.items()}
    scores, fitted, recipe, penalty = best_ridge([grams], train, test, labels, SUBJECTS, CLASSES)
    scaled = [values - values[train].mean(0) for values in images.values()]
    stacked = np.concatenate([each / np.sqrt(2 * (each[train] ** 2).sum(1).mean()) for each in scaled], 1)
    model = Ridge(penalty).fit(stacked[train], np.eye(CLASSES)[labels])
    np.testing.assert_allclose(scores, model.predict(stacked[test]), atol=1e-8)
    np.testing.assert_allclose(fitted, model.predict(stacked[train]), atol=1e-8)
    assert recipe == 0 and penalty in PENALTIES


def test_the_recipe_that_knows_the_classes_is_chosen_and_test_clips_have_no_say(
    rng: np.random.Generator, features: np.ndarray, labels: np.ndarray
) -> None:
    noise = rng.normal(size=features.shape)
    features[:, :CLASSES] *= 10
    train, test = np.arange(CLIPS), np.arange(CLIPS, CLIPS + 6)
    grams = [{"x": values @ values.T} for values in (noise, features)]
    chosen = best_ridge(grams, train, test, labels, SUBJECTS, CLASSES)
    assert chosen[2] == 1
    features[test] *= -100  # other test clips: the same choice, and the same fit
    grams[1]["x"] = features @ features.T
    again = best_ridge(grams, train, test, labels, SUBJECTS, CLASSES)
    assert again[2:] == chosen[2:]
    np.testing.assert_allclose(again[1], chosen[1])


@pytest.mark.usefixtures("plain_report")
def test_a_probe_leaves_a_run_like_any_other(command: Command, make_cache: MakeCache, tmp_path: Path) -> None:
    """The fixture's classes are in the motion alone: neither the onset frame nor the dynamic image knows them."""
    cache = make_cache(tmp_path / "demo.h5", {"sub01": 14, "sub02": 15, "sub10": 14}, frames=5)
    done = command("mpt-train", "--cache", cache, *PROBE, "--name", "probe", "--null", 5)
    assert done.code == 0, done.err
    run = RunFolder(Path("runs/probe"))
    summary, folds = run.summary, run.read_folds()
    assert [fold.name for fold in folds] == ["demo__sub01", "demo__sub02", "demo__sub10"]
    assert set(summary["probe"]) == {"alone_onset", "alone_dynamic", "alone_magnified", "folds_by_recipe"}
    predicted = np.concatenate([fold.traces["alone_magnified"] for fold in folds])
    true = np.concatenate([fold.true for fold in folds])
    assert summary["probe"]["alone_magnified"]["accuracy"] == pytest.approx((predicted == true).mean())
    assert summary["null"]["copies"] == 5 and len(list(run.path.glob("null/*.json"))) == 5 * 3
    assert "onset frame alone" in done.out and not list(run.path.glob("checkpoints/*"))

    again = command("mpt-train", "--cache", cache, *PROBE, "--name", "again", "--folds", "1:2")
    assert again.code == 0 and RunFolder(Path("runs/again")).read_folds()[0].logits == pytest.approx(folds[1].logits)
    assert (
        command("mpt-train", "--cache", cache, *TINY, "--epochs", 1, "--name", "trained", "--device", "cpu").code == 0
    )
    compared = json.loads(command("mpt-compare", "runs/probe", "runs/trained", "--json").out)
    assert compared["clips"] == 43 and not compared["only_seed_differs"]
    reported = command("mpt-report", "runs/probe", "runs/trained", "--no-images")
    assert reported.code == 0, reported.err
    with (run.path / "report-vs-trained" / "scores.csv").open() as file:
        rows = {row[""]: row for row in csv.DictReader(file)}
    assert float(rows["a magnified frame alone"]["Acc"]) == summary["probe"]["alone_magnified"]["accuracy"]
    assert command("mpt-train", "--cache", cache, *PROBE, "--name", "final", "--final").code == 2


@pytest.mark.usefixtures("plain_report")
def test_caches_of_several_recipes_are_probed_together(command: Command, make_cache: MakeCache, tmp_path: Path) -> None:
    people = {"s1": 5, "s2": 6, "s3": 5}
    one = make_cache(tmp_path / "one.h5", people, frames=5, alpha=5.0)
    two = make_cache(tmp_path / "two.h5", people, frames=5)
    other = make_cache(tmp_path / "other.h5", {"s1": 5, "s2": 6}, frames=5, alpha=1.0)
    done = command("mpt-train", "--cache", one, "--cache", two, *PROBE, "--name", "both")
    assert done.code == 0, done.err
    run = RunFolder(Path("runs/both"))
    assert sum(run.summary["probe"]["folds_by_recipe"]) == 3 and len(run.config["caches"]) == 2
    assert command("mpt-train", "--cache", one, *PROBE, "--name", "both").code == 5, "one cache less is another run"
    assert command("mpt-report", "runs/both").code == 0
    assert command("mpt-train", "--cache", one, "--cache", other, *PROBE).code == 2
    assert command("mpt-train", "--cache", one, "--cache", two, *TINY).code == 2, "only the probe takes several"
