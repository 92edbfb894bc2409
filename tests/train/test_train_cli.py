"""`mpt-train` as a user meets it: runs, resumption, refusals."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import Command, MakeCache
from safetensors.numpy import load_file
from tiny_runs import QUICK, SUBJECTS, logits_of

from data_cache.read.reader import CacheReader
from train.paper.presets import PRESETS
from train.results.run_folder import RunFolder


def test_a_run_leaves_predictions_checkpoints_and_scores(quick: Command, cache: Path) -> None:
    done = quick()
    assert done.code == 0, done.err
    assert "final epoch" in done.out and "majority class" in done.out and "RANDOM" in done.err
    run = RunFolder(Path("runs/demo-mpt"))
    folds = run.read_folds()
    assert [fold.name for fold in folds] == ["demo__sub01", "demo__sub02", "demo__sub10"]
    labels = dict(zip(CacheReader(cache).clips.keys, CacheReader(cache).clips.emotion, strict=True))
    for fold in folds:
        subject = fold.keys[0][1]
        assert len(fold.keys) == SUBJECTS[subject] and fold.train_clips == 16 - SUBJECTS[subject]
        assert [labels["/".join(key[1:])] for key in fold.keys] == [run.config["classes"][t] for t in fold.true]
        assert fold.epoch_predictions.shape == (3, len(fold.keys))
        np.testing.assert_array_equal(fold.epoch_predictions[-1], fold.predicted)
        assert not any(name.startswith("backbone") for name in load_file(run.checkpoint(fold.name)))
    right = sum(int((fold.predicted == fold.true).sum()) for fold in folds)
    assert run.summary["final_epoch"]["accuracy"] == pytest.approx(right / 16)
    assert run.config["caches"][0]["content_digest"] == CacheReader(cache).content_digest
    assert {"torch", "timm", "python"} <= set(run.environment["versions"])


def test_presets_are_listed(command: Command) -> None:
    done = command("mpt-train", "--presets")
    assert done.code == 0 and {line.split()[0] for line in done.out.splitlines()} >= set(PRESETS)


def test_the_same_command_twice_trains_once_and_other_settings_need_another_name(quick: Command) -> None:
    quick()
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.csv")}
    done = quick("--json")
    assert done.code == 0 and "already finished" in done.err
    assert json.loads(done.out) == RunFolder(Path("runs/demo-mpt")).summary
    done = quick("--lr", 0.02)
    assert done.code == 5 and "settings.lr 0.01 → 0.02" in done.err and "--name" in done.err
    assert quick("--lr", 0.02, "--name", "other").code == 0
    assert before == {path: path.stat().st_mtime_ns for path in Path("runs/demo-mpt").rglob("*.csv")}
    assert quick("--lr", 0.02, "--overwrite").code == 0
    assert RunFolder(Path("runs/demo-mpt")).config["settings"]["lr"] == 0.02


def test_folds_can_be_trained_one_by_one(quick: Command) -> None:
    done = quick("--subjects", "sub02")
    assert done.code == 0 and "2 of 3 folds are still to be trained" in done.err
    assert not Path("runs/demo-mpt/summary.json").exists()
    assert quick("--folds", "0:1").code == 0
    done = quick()
    assert done.code == 0 and "1 folds" in done.err and "final epoch" in done.out
    pieces = logits_of(Path("runs/demo-mpt"))
    quick("--name", "whole")
    for name, logits in logits_of(Path("runs/whole")).items():
        np.testing.assert_allclose(pieces[name], logits, atol=1e-4)


def test_a_test_label_never_reaches_training(quick: Command, make_cache: MakeCache, tmp_path: Path) -> None:
    """Other labels for one subject must not change the weights of the fold that leaves it out."""
    clean = make_cache(tmp_path / "clean.h5", SUBJECTS)
    poisoned = Path(shutil.copy(clean, tmp_path / "poisoned.h5"))
    with h5py.File(poisoned, "r+") as file:
        subject, emotion = file["clips/subject"], file["clips/emotion"]
        wrong = {b"disgust": b"surprise", b"surprise": b"others"}
        emotion[...] = [
            wrong.get(label, b"disgust") if who == b"sub02" else label
            for who, label in zip(subject[...], emotion[...], strict=True)
        ]
    weights, true = [], []
    for path in (clean, poisoned):
        done = quick("--name", path.stem, "--subjects", "sub02", on=[path])
        assert done.code == 0, done.err
        run = RunFolder(Path("runs") / path.stem)
        weights.append(load_file(run.checkpoint("demo__sub02")))
        true.append(run.read_folds()[0].true.tolist())
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert true[0] != true[1]


def test_seeds_are_summed_up(quick: Command) -> None:
    done = quick("--seeds", 2)
    assert done.code == 0 and "2 seeds (mean ± standard deviation)" in done.out
    combined = json.loads(Path("runs/demo-mpt-seeds.json").read_text())
    each = [RunFolder(Path(f"runs/demo-mpt-seed{s}")).summary["final_epoch"]["uar"] for s in range(2)]
    assert combined["uar"]["each"] == each and combined["uar"]["mean"] == pytest.approx(np.mean(each))
    assert combined["uar"]["sd"] == pytest.approx(np.std(each, ddof=1))


def test_a_dry_run_counts_and_writes_nothing(
    command: Command, quick: Command, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.cost.accounting.estimate_seconds", lambda *_: None)  # by steps of a full ViT-B/16
    done = command("mpt-train", "--cache", cache, "--dry-run", "--json", "--epochs", 7)
    plan = json.loads(done.out)
    assert done.code == 0 and not Path("runs").exists()
    assert plan["folds"] == 3 and plan["clips"] == 16 and plan["steps"] == 7  # 12 clips at most: one batch
    # ViT-B/16 with the paper's settings and five classes: 5,509,517 plus two more classes in the head
    assert plan["account"]["trained_total"] == 5_509_517 + 2 * 769
    assert "memory" in quick("--dry-run").out


def test_settings_come_from_preset_file_and_command_line(quick: Command) -> None:
    Path("mine.toml").write_text('lr = 0.5\nadapter = "primitive"\nepochs = 9\n')
    done = quick("--preset", "vpt-deep", "--config", "mine.toml", "--name", "x")
    assert done.code == 0, done.err
    settings = RunFolder(Path("runs/x")).config["settings"]
    assert [settings[name] for name in ("prompt", "adapter", "lr", "epochs")] == ["deep", "primitive", 0.01, 3]


@pytest.mark.parametrize(
    ("arguments", "code", "datum"),
    [
        (("--cache", "none.h5"), 2, "none.h5"),
        (("--preset", "mtp"), 2, "'mtp'"),
        (("--protocol", "samm-5"), 2, "'demo'"),
        (("--protocol", "casme"), 2, "'casme'"),
        (("--name", "../x"), 2, "--name"),
        (("--config", "bad.toml"), 2, "'learning_rate'"),
        (("--config", "none.toml"), 2, "none.toml"),
        (("--subjects", "sub99"), 2, "sub99"),
        (("--subjects", ""), 2, "no subject"),
        (("--folds", "9:"), 2, "--folds"),
        (("--folds", "x"), 2, "'x'"),
        (("--folds", ""), 2, "--folds"),
        (("--device", "tpu"), 2, "'tpu'"),
        (("--cache-mode", "ram"), 2, "ram"),
        (("--tuning", "full"), 2, "--prompt none --adapter none"),
        (("--backbone", "vit_nothing"), 2, "vit_nothing"),
        (("--lr", "inf"), 2, "lr is inf"),
        (("--weights", "x.pth"), 2, "--random-weights"),
        *((("--name", name), 2, "--name") for name in ("", "a/b", "..", "n" * 300, "a\x1b[2J", "a\nb")),
    ],
)
def test_bad_requests_are_explained(quick: Command, arguments: tuple[str, ...], code: int, datum: str) -> None:
    Path("bad.toml").write_text("learning_rate = 1\n")
    done = quick(*arguments)
    assert done.code == code and datum in done.err.splitlines()[-1]
    assert "Traceback" not in done.err and "\x1b" not in done.err
    assert arguments[0] != "--name" or len(done.err.splitlines()) == 1
    assert not Path("runs").exists()


def test_full_tuning_trains_the_backbone_of_every_fold(command: Command, cache: Path) -> None:
    done = command("mpt-train", "--cache", cache, "--preset", "scratch", *QUICK[:2], *QUICK[3:5], "--epochs", 2)
    assert done.code == 0, done.err
    assert "1 at a time" in done.err
    assert len(RunFolder(Path("runs/demo-scratch")).read_folds()) == 3


def test_three_caches_make_the_composite(quick: Command, make_cache: MakeCache, tmp_path: Path) -> None:
    emotions = {
        "casme2": ("happiness", "disgust", "surprise"),
        "samm": ("happiness", "anger", "surprise"),
        "smic": ("positive", "negative", "surprise"),
    }
    people, scenes = {"sub01": 4, "sub02": 4}, {"samm": "auto"}  # SAMM comes as whole scenes
    paths = [
        make_cache(tmp_path / f"{name}.h5", people, name, seed=s, emotions=labels, faces=scenes.get(name, "none"))
        for s, (name, labels) in enumerate(emotions.items())
    ]
    done = quick("--name", "megc", on=paths)
    assert done.code == 0, done.err
    run = RunFolder(Path("runs/megc"))
    assert run.config["protocol"] == "megc2019"
    assert len(run.read_folds()) == 6  # sub01 of three data sets are three subjects
    assert "250" in done.err  # what the full sets would give
    done = quick(on=[paths[0], paths[0]])
    assert done.code == 2 and "same data set" in done.err
    done = quick(on=[paths[0], make_cache(tmp_path / "other.h5", {"sub01": 4}, dataset="samm", frames=4)])
    assert done.code == 2 and "frames 8 → 4" in done.err
