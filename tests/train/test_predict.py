"""`mpt-predict`: the predictions of a run for clips that come as frames, video, list or cache."""

import io
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from commands import Command, MakeCache, MakeRun
from safetensors.torch import save_file
from timm import create_model
from tiny_runs import TINY
from videos import write_video

from data_cache.errors import UsageError
from data_cache.schema import StoredRecipe
from preprocess import cli as preprocessing
from train.data.stream import Request, Stream
from train.data.task import ClipPixels
from train.predict.ensemble import choose_models, open_for, predict_clips
from train.predict.new_clips import Frames, NewClips
from train.results.checkpoint import load_trained
from train.results.run_folder import RunFolder
from train.trace import clip_maps, heat_maps


@pytest.fixture(scope="module")
def lab(drawn_set: Path, make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache of the drawn set, and a run on it."""
    folder = tmp_path_factory.mktemp("lab")
    made = ("--recipe", "clean", "--size", 32, "--levels", 3, "-j", 1, "-o", "c.h5")
    make_run(folder, "mpt-preprocess", "casme2", "--root", drawn_set, *made)
    make_run(folder, "mpt-train", "--cache", "c.h5", *TINY, "--epochs", 2, "--lr", 0.01, "--name", "r", "--final",
             "--protocol", "as-labelled")  # fmt: skip
    return folder


@pytest.fixture
def ask(command: Command, lab: Path) -> Command:
    """Run mpt-predict on the lab's run and read the JSON that it prints."""

    def run(*arguments: object, code: int = 0) -> Any:
        done = command("mpt-predict", *arguments, "--run", lab / "runs" / "r", "--device", "cpu", "--json")
        assert done.code == code, done.err
        return json.loads(done.out) if code == 0 else done.err

    return run


@pytest.fixture
def preprocess_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """New clips are preprocessed in this process: one of its own takes seconds to import what it needs."""

    @contextmanager
    def run(program: list[str], **_: object) -> Iterator[SimpleNamespace]:
        arguments = [*program[4:], *(["--jobs", "1"] if program[4] == "manifest" else [])]
        with monkeypatch.context() as patch, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
            patch.setattr(sys, "argv", ["mpt-preprocess", *arguments])
            with pytest.raises(SystemExit) as ended:
                preprocessing.main()
        yield SimpleNamespace(stderr=said.getvalue().splitlines(keepends=True), returncode=int(ended.value.code or 0))

    monkeypatch.setattr("train.predict.new_clips.subprocess", SimpleNamespace(Popen=run, PIPE=None))


def stored(lab: Path, subject: str) -> dict[str, np.ndarray]:
    """Logits that the run stored for the clips of the subject it left out."""
    fold = next(fold for fold in RunFolder(lab / "runs" / "r").read_folds() if fold.name.endswith(f"__{subject}"))
    return dict(zip([key[2] for key in fold.keys], fold.logits, strict=True))


def test_frames_of_a_left_out_subject_get_the_logits_of_the_run(ask: Command, lab: Path, drawn_set: Path) -> None:
    clip, logits = next(iter(stored(lab, "sub02").items()))
    said = ask(drawn_set / "Cropped" / "sub02" / clip, "--fold", "sub02", "--fps", 200)
    (answer,) = said["clips"]
    (found,) = answer["logits"].values()
    np.testing.assert_allclose(found, logits, atol=1e-4)
    assert answer["clip"] == clip and said["models"][0].endswith("__sub02")
    assert answer["predicted"] == said["classes"][int(np.argmax(logits))]
    assert json.loads((Path("predictions") / clip / "predictions.json").read_text()) == said


def test_a_cache_may_be_a_url(ask: Command, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPT_DOWNLOADS", "copies")
    handler = partial(SimpleHTTPRequestHandler, directory=str(lab))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        said = ask(f"http://127.0.0.1:{server.server_port}/c.h5", "--fold", "sub03")
        server.shutdown()
    assert said["clips"] == ask(lab / "c.h5", "--fold", "sub03")["clips"]


def test_all_folds_together_average_their_probabilities(ask: Command, lab: Path) -> None:
    said = ask(lab / "c.h5")
    assert len(said["models"]) == 4
    for clip in said["clips"]:
        each = torch.softmax(torch.tensor([clip["logits"][name] for name in said["models"]], dtype=torch.double), 1)
        np.testing.assert_allclose(list(clip["probabilities"].values()), each.mean(0).numpy(), atol=1e-9)
        assert clip["predicted"] == max(clip["probabilities"], key=clip["probabilities"].get)


def test_the_final_model_can_be_asked_and_has_a_card(ask: Command, lab: Path) -> None:
    said = ask(lab / "c.h5", "--fold", "final")
    assert said["models"] == ["final"]
    card = (lab / "runs" / "r" / "MODEL_CARD.md").read_text()
    summary = RunFolder(lab / "runs" / "r").summary
    assert f"{summary['final_epoch']['accuracy']:.1%} accuracy" in card
    assert "RANDOM".lower() in card.lower() and "must not be used to judge people" in card
    assert "No clip was left to test this very model" in card


def test_people_get_a_table(ask: Command, command: Command, lab: Path) -> None:
    said = ask(lab / "c.h5", "--fold", "sub03", "-o", "json")
    done = command("mpt-predict", lab / "c.h5", "--run", lab / "runs" / "r", "--fold", "sub03", "--device", "cpu")
    assert done.code == 0 and f"written: {Path('predictions/c')}" in done.out and "RANDOM" in done.err
    for clip in said["clips"]:
        (line,) = (line for line in done.out.splitlines() if f" {clip['subject']}/{clip['clip']} " in line)
        assert clip["predicted"] in line and all(f"{value:.1%}" in line for value in clip["probabilities"].values())


@pytest.mark.usefixtures("preprocess_here")
def test_a_list_needs_paths_only(ask: Command, drawn_set: Path, lab: Path) -> None:
    clips = sorted((drawn_set / "Cropped" / "sub01").iterdir())[:2]
    table = "\n".join(["path,fps", *(f"{clip},200" for clip in clips)])
    Path("list.csv").write_text(table)
    said = ask("list.csv", "--fold", "sub01")
    found = {c["clip"]: next(iter(c["logits"].values())) for c in said["clips"]}
    for clip in clips:
        np.testing.assert_allclose(found[clip.name], stored(lab, "sub01")[clip.name], atol=1e-4)


@pytest.mark.usefixtures("preprocess_here")
def test_a_folder_of_folders_is_as_many_clips(ask: Command, drawn_set: Path, lab: Path) -> None:
    """Subject folders below it give the subjects; each clip gets the logits that it gets alone."""
    clips = {f"{name}/{each.name}": each for name in ("sub01", "sub02")
             for each in sorted((drawn_set / "Cropped" / name).iterdir())[:1]}  # fmt: skip
    for name, each in clips.items():
        shutil.copytree(each, Path("recorded") / name)
    shutil.copytree(each, "recorded/loose")
    Path("recorded/notes.txt").write_text("no clip")
    said = ask("recorded", "--fold", "sub01", "--fps", 200)
    found = {f"{each['subject']}/{each['clip']}": each for each in said["clips"]}
    assert set(found) == {*clips, "new/loose"}
    for name, logits in stored(lab, "sub01").items():
        if f"sub01/{name}" in found:
            np.testing.assert_allclose(next(iter(found[f"sub01/{name}"]["logits"].values())), logits, atol=1e-4)
    assert "--onset" in ask("recorded", "--fps", 200, "--onset", 1, code=2)
    Path("empty/deep").mkdir(parents=True)
    assert "empty" in ask("empty", "--fps", 200, code=2)


@pytest.mark.usefixtures("preprocess_here")
def test_clips_that_a_model_was_trained_on_are_no_test(
    ask: Command, command: Command, lab: Path, drawn_set: Path
) -> None:
    """Known by name in a cache, by their pixels in frames of another name; the fold that left them out is silent."""
    clip = sorted((drawn_set / "Cropped" / "sub02").iterdir())[0]
    shutil.copytree(clip, "renamed")
    everyone = ask("renamed", "--fps", 200)["clips"][0]
    assert [name.partition("__")[2] for name in everyone["trained_on_by"]] == ["sub01", "sub03", "sub04"]
    assert ask("renamed", "--fps", 200, "--fold", "final")["clips"][0]["trained_on_by"] == ["final"]
    assert all(len(each["trained_on_by"]) == 3 for each in ask(lab / "c.h5")["clips"])
    run = lab / "runs" / "r"
    done = command("mpt-predict", lab / "c.h5", run, "--device", "cpu")
    assert done.code == 0 and "training data" in done.err and "--fold" in done.err
    for image in Path("renamed").iterdir():  # other pixels, so another clip
        cv2.imwrite(str(image), 255 - cv2.imread(str(image)))
    assert ask("renamed", "--fps", 200)["clips"][0]["trained_on_by"] == []


def test_earlier_predictions_stay(ask: Command, lab: Path) -> None:
    first = ask(lab / "c.h5", "--fold", "sub01")
    second = ask(lab / "c.h5", "--fold", "sub02")
    assert json.loads(Path("predictions/c/predictions.json").read_text()) == first
    assert json.loads(Path("predictions/c-2/predictions.json").read_text()) == second
    assert "predictions/c" in ask(lab / "c.h5", "--fold", "sub03", "-o", "predictions/c", code=2)
    assert json.loads(Path("predictions/c/predictions.json").read_text()) == first


@pytest.mark.usefixtures("preprocess_here")
def test_inner_errors_speak_of_what_was_given(ask: Command, drawn_set: Path, tmp_path: Path) -> None:
    """No line of a list, no option and no temporary file that the user never saw."""
    shutil.copytree(sorted((drawn_set / "Cropped" / "sub01").iterdir())[0], "damaged")
    image = min(Path("damaged").iterdir(), key=lambda path: int(path.stem[7:]))
    image.write_bytes(b"no image")
    said = ask("damaged", "--fps", 200, code=3)
    assert image.name in said
    inner = ("line ", "--allow-missing", "manifest", "clips.csv", "clips.h5", "mpt-preprocess")
    assert not any(word in said for word in inner)
    Path("list.csv").write_text("path,fps\nnowhere,200\n")
    said = ask("list.csv", code=3)
    assert "line 2" in said and "nowhere" in said and "--allow-missing" not in said


@pytest.mark.usefixtures("preprocess_here")
def test_a_video_gets_a_prediction_and_its_pictures(ask: Command, drawn_set: Path) -> None:
    frames = sorted((drawn_set / "Cropped" / "sub01").iterdir())[0]
    images = [cv2.imread(str(path)) for path in sorted(frames.iterdir(), key=lambda p: int(p.stem[7:]))]
    write_video("clip.avi", images, rate=200)
    said = ask("clip.avi", "--onset", 1, "--offset", len(images) - 2, "--gradcam", "--magnified", "-o", "seen")
    assert sum(said["clips"][0]["probabilities"].values()) == pytest.approx(1)
    heat = cv2.imread("seen/new__clip__heat.png")
    assert heat is not None and heat.std() > 5
    assert cv2.imread("seen/new__clip.png") is not None
    assert Path("seen/new__clip.avif").stat().st_size > 1000


@pytest.mark.usefixtures("preprocess_here")
def test_faces_are_cut_out_of_whole_scenes(ask: Command, lab: Path, drawn_set: Path) -> None:
    """A clip of the set, pasted into larger pictures: with its box it gets the very logits of the run."""
    clip, logits = next(iter(stored(lab, "sub04").items()))
    Path("scene").mkdir()
    for path in (drawn_set / "Cropped" / "sub04" / clip).iterdir():
        face = cv2.imread(str(path))
        scene = np.full((80, 160, 3), 90, np.uint8)
        scene[20 : 20 + len(face), 70 : 70 + len(face)] = face
        cv2.imwrite(f"scene/{path.stem}.png", scene)
    Path("boxes.csv").write_text(f"subject,clip,x,y,width,height\nnew,scene,70,20,{len(face)},{len(face)}\n")
    scene = ("scene", "--fold", "sub04", "--fps", 200)
    whole, cut = (
        ask(*scene, *more)["clips"][0]["logits"]["casme2__sub04"] for more in ((), ("--face-boxes", "boxes.csv"))
    )
    np.testing.assert_allclose(cut, logits, atol=1e-4)
    assert np.abs(np.subtract(whole, logits)).max() > 1e-2
    assert "--faces" in ask(lab / "c.h5", "--faces", "auto", code=2)
    assert "--faces" in ask("scene", "--fps", 200, "--faces", "some", code=2)


def test_a_run_on_boxes_asks_how_to_cut(tmp_path: Path) -> None:
    recipe = StoredRecipe({"faces": "csv"})
    with pytest.raises(UsageError, match="--face-boxes"):
        NewClips(tmp_path, tmp_path, Frames(), recipe)
    (tmp_path / "1.png").touch()
    assert NewClips(tmp_path, tmp_path, Frames(fps=200, faces="auto"), recipe).how[2:] == ["--faces", "auto"]


def test_refusals_are_one_line(ask: Command, command: Command, lab: Path, drawn_set: Path) -> None:
    clip = next((drawn_set / "Cropped" / "sub01").iterdir())
    Path("bad.csv").write_text("subject,clip\na,b\n")
    assert "nowhere" in ask("nowhere", code=2)
    assert "sub99" in ask(clip, "--fold", "sub99", code=2)
    assert "--fps" in ask(lab / "c.h5", "--fps", 200, code=2)
    assert "--fps" in ask(clip, code=2)
    assert "path" in ask("bad.csv", code=2)
    assert "--magnified" in ask(lab / "c.h5", "--magnified", code=2)
    done = command("mpt-predict", clip, "--run", "nothing")
    assert done.code == 2 and "nothing" in done.err


def test_another_recipe_or_backbone_is_refused(ask: Command, make_cache: MakeCache, lab: Path, tmp_path: Path) -> None:
    other = make_cache(tmp_path / "other.h5", {"s": 2}, frames=16)
    assert "levels 3 → None" in ask(other, code=2)
    weights = create_model("test_vit", num_classes=0, img_size=32, depth=2).state_dict()
    save_file(weights, tmp_path / "w.safetensors")
    ask(lab / "c.h5", "--weights", tmp_path / "w.safetensors", code=2)


def test_heat_maps_are_means_of_the_maps_of_the_models_that_predicted(lab: Path) -> None:
    run = RunFolder(lab / "runs" / "r")
    trained = load_trained(run, choose_models(run, None), torch.device("cpu"))
    clips = open_for(trained, lab / "c.h5")
    for predictions in (predict_clips(trained, clips)[:3], run.load().predictions[::2]):
        for prediction, made in zip(predictions, clip_maps(trained, clips, predictions), strict=True):
            everywhere = (len(trained.names), 1)
            inputs = Stream(ClipPixels(clips, trained.config), torch.device("cpu")).inputs(
                Request(np.full(everywhere, clips.keys.index(prediction.key)))
            )
            alone = heat_maps(trained.model, inputs, torch.full(everywhere, prediction.predicted))
            assert set(made) == set(alone) == {"image", "motion"}
            for name, values in alone.items():
                theirs = values[[trained.names.index(model) for model in prediction.models], 0]
                expected = (theirs / theirs.amax((1, 2), keepdim=True).clamp(min=1e-12)).mean(0)
                np.testing.assert_allclose(made[name], expected, atol=1e-5)
