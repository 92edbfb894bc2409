"""Any machine: too little memory halves the work, arithmetic is what the hardware has, and time is told beforehand."""

import io
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from commands import Command, MakeRun
from live_bytes import step_peak
from safetensors.torch import save_file
from tiny_runs import QUICK

from data_cache.console.commandline import progress
from data_cache.errors import UsageError
from train import device
from train.config import TrainConfig
from train.cost import accounting
from train.cost.accounting import bytes_per_fold
from train.data.stream import Stream
from train.data.task import ClipPixels, make_task, open_clips
from train.device import arithmetic, choose_device, free_memory
from train.loop import precision
from train.model.build import Shape
from train.model.mpt import MPT, Inputs
from train.model.weights import build_backbone, create_vit, weights_place
from train.predict.ensemble import predict_clips
from train.results.checkpoint import Trained, load_trained
from train.results.run_folder import RunFolder
from train.trace import clip_maps, trace_clips

Holds = Callable[[int], None]
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(scope="module")
def run(cache: Path, make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("run")
    make_run(folder, "mpt-train", "--cache", cache, *QUICK, "--epochs", 1, "--name", "x")
    return RunFolder(folder / "runs" / "x")


@pytest.fixture
def trained(run: RunFolder) -> Trained:
    return load_trained(run, run.config["subjects"], CPU)


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> Holds:
    """Make a device on which only so many clips have room in a pass."""
    features = MPT.features

    def at_most(clips: int) -> None:
        def small(model: MPT, inputs: Inputs, *rest: Any) -> torch.Tensor:
            if inputs.index.numel() > clips:
                raise torch.OutOfMemoryError
            return features(model, inputs, *rest)

        monkeypatch.setattr(MPT, "features", small)

    return at_most


def looked_at(trained: Trained, cache: Path) -> list[np.ndarray]:
    """All numbers of predictions, traces and heat maps of the clips of a cache."""
    clips = open_clips([cache])
    predictions = predict_clips(trained, clips)
    stream = Stream(ClipPixels(clips, trained.config), CPU)
    traces = trace_clips(trained.model, stream, [np.arange(4), np.arange(4, 11), np.arange(11, 16)], trained.config)
    looks = [*traces, *clip_maps(trained, clips, predictions[:2])]
    return [*(each.logits for each in predictions), *(each[name] for each in looks for name in sorted(each))]


@pytest.mark.parametrize("clips", [1, 2, 4])
def test_too_little_memory_changes_no_prediction(
    trained: Trained, cache: Path, holds: Holds, caplog: pytest.LogCaptureFixture, clips: int
) -> None:
    caplog.set_level("INFO")
    expected = looked_at(trained, cache)
    holds(clips)
    found = looked_at(trained, cache)
    assert len(found) == len(expected) > 20
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    said = [line for line in caplog.text.splitlines() if "out of memory" in line]
    assert said and all("going on with" in line for line in said)


def test_a_size_that_has_room_is_found_once(
    trained: Trained, cache: Path, holds: Holds, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stream = Stream(ClipPixels(open_clips([cache]), trained.config), CPU)
    holds(3)
    for first in range(3):
        trace_clips(trained.model, stream, [np.arange(first, 16)] * 3, trained.config)
    assert stream.room == 3 and caplog.text.count("going on with 3 clips") == 1


def test_where_not_one_clip_has_room_the_options_are_named(
    cache: Path, holds: Holds, command: Command, run: RunFolder
) -> None:
    holds(0)
    done = command("mpt-predict", cache, "--run", run.path, "--device", "cpu")
    assert done.code == 2 and "--device cpu" in done.err and "Traceback" not in done.err


def test_a_size_that_is_fixed_is_not_halved() -> None:
    assert device.halved(5, "fold", CPU, "") == 3
    with pytest.raises(UsageError, match="5 folds; try less"):
        device.halved(5, "fold", CPU, "less", fixed=True)


@pytest.mark.slow
def test_a_report_without_memory_goes_on_without_heat_maps(
    cache: Path, holds: Holds, command: Command, run: RunFolder
) -> None:
    holds(0)
    shutil.copytree(run.path, "runs/x")
    done = command("mpt-report", "runs/x", "--cache", cache)
    assert done.code == 0 and "no Grad-CAM maps: out of memory" in done.err


@pytest.mark.parametrize("files", [{"memory.max": "max"}, {"a/memory.max": "3000000000", "a/b/memory.max": "max"},
                                   {"memory/a/memory.limit_in_bytes": "3000000000"}, {"memory.max": "1000000"},
                                   {"memory/memory.limit_in_bytes": "1000000"}])  # fmt: skip
def test_the_limits_of_containers_and_jobs_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    (tmp_path / "mine").write_text("0::/a/b\n4:memory:/a/b\n")
    monkeypatch.setattr(device, "_CGROUP", tmp_path)
    monkeypatch.setattr(device, "_MY_CGROUPS", tmp_path / "mine")
    monkeypatch.setattr(device.psutil, "virtual_memory", lambda: SimpleNamespace(available=10**13))
    limits = [int(text) for text in files.values() if text != "max"]
    assert free_memory(CPU) == 10**13 if not limits else free_memory(CPU) < limits[0]
    assert limits != [10**6] or free_memory(CPU) == 0, "this process alone takes more"


LARGE = {"backbone": "vit_base_patch16_224", "depth": 12}
NOTHING = {"prompt": "none", "adapter": "none"}
COMMON = ({}, NOTHING, {**NOTHING, "tuning": "full"})
RARE = ({"token_grid": 4}, {**NOTHING, "prompt": "deep"}, {"prompt": "none"}, {**NOTHING, "adapter": "primitive"})


@pytest.mark.parametrize("amp", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("settings", "size"),
    [
        *((settings, 112) for settings in COMMON),
        *(pytest.param({**LARGE, **settings}, 224, marks=pytest.mark.slow) for settings in COMMON + RARE),
    ],
)
def test_the_memory_of_a_fold_is_estimated_to_15_percent(settings: dict[str, Any], size: int, amp: str) -> None:
    small = {"backbone": "vit_small_patch16_224", "depth": 4, "random_weights": True, "amp": amp}
    config, shape = TrainConfig(**{**small, **settings}), Shape(5, 16, size)
    dtype = torch.bfloat16 if amp == "bf16" else torch.float32
    counted = step_peak(config, shape, 1, dtype)
    if config.tuning != "full":  # what a second fold adds; the backbone is shared
        counted = step_peak(config, shape, 2, dtype) - counted
    assert bytes_per_fold(config, shape, CPU) == pytest.approx(counted, rel=0.15)


@pytest.mark.parametrize(("capability", "auto"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_bf16_is_for_hardware_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], auto: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    assert arithmetic("auto", GPU) == auto and arithmetic("auto", CPU) == "fp32"
    assert arithmetic("fp32", GPU) == "fp32" and arithmetic("tf32", GPU) == "tf32"
    if auto == "fp32":
        with pytest.raises(UsageError, match="--amp bf16"):
            arithmetic("bf16", GPU)


@pytest.mark.parametrize("amp", ["tf32", "fp32", "auto"])
def test_fp32_is_never_tf32(amp: Any) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    precision(TrainConfig(amp=amp), CPU)
    assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == (amp == "tf32")


def test_arithmetic_is_decided_where_it_is_used(run: RunFolder, trained: Trained, quick: Command) -> None:
    assert run.config["settings"]["amp"] == trained.config.amp == "auto" and run.environment["arithmetic"] == "fp32"
    shutil.copytree(run.path, "runs/x")
    environment = Path("runs/x/env.json")
    environment.write_text(json.dumps({"arithmetic": "bf16"}))  # as a GPU's run
    done = quick("--epochs", 1, "--name", "x")
    assert done.code == 0 and "bf16" in done.err and "fp32" in done.err
    assert quick("--epochs", 1, "--name", "g", "--amp", "bf16").code == 0
    assert load_trained(RunFolder(Path("runs/g")), ["demo__sub01"], CPU).config.amp == "auto"


def test_mps_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"float64.*--device cpu"):
        choose_device("mps")


@pytest.mark.parametrize(
    ("backbone", "prompt", "size", "fitting"),
    [
        ("vit_small_patch14_dinov2", "motion", 80, "112, 224 or 336"),
        ("vit_small_patch14_dinov2", "none", 80, "70, 84 or 98"),
        ("vit_base_patch32_224", "motion", 112, "96, 128 or 160"),
    ],
)
def test_an_image_that_patches_do_not_divide_is_refused(backbone: str, prompt: Any, size: int, fitting: str) -> None:
    with pytest.raises(UsageError, match=f"--size {fitting}"), torch.device("meta"):
        create_vit(TrainConfig(backbone=backbone, prompt=prompt), size)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 s"), (100, "about 100 s"), (3000, "about 50 min"), (20_000, "about 6 h"), (2.6e5, "about 3 days")],
)
def test_a_time_is_told_in_the_unit_that_fits(seconds: float, words: str) -> None:
    line = accounting.time_line(seconds, "cpu")
    assert words in line and ("WARNING" in line) == ("GPU" in line) == (seconds > 7200)
    assert "WARNING" not in accounting.time_line(seconds, "cuda:0")


def test_the_time_of_a_run_is_the_sum_of_its_steps(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds of 12, 9 and 11 clips to train and 4, 7 and 5 to test, in batches of 4; two folds go together."""
    timed: list[int] = []

    def steps(config: TrainConfig, shape: Shape, folds: int, where: torch.device) -> tuple[float, float]:
        timed.append(folds)
        if folds > 1:
            raise torch.OutOfMemoryError
        return 1.0, 0.25

    monkeypatch.setattr(accounting, "_time_steps", steps)
    config = TrainConfig(batch_size=4, epochs=10, random_weights=True, backbone="test_vit")
    task = make_task([cache], config)
    assert [(len(fold.train), len(fold.test)) for fold in task.folds] == [(11, 5), (9, 7), (12, 4)]
    by_hand = 10 * 2 * (3 + 0.25 * 2) + 10 * (3 + 0.25 * 1)
    assert accounting.estimate_seconds(task, task.folds, config, 2, CPU) == pytest.approx(by_hand) and timed == [1, 2]


def test_a_dry_run_says_time_weights_and_folder(quick: Command) -> None:
    values = json.loads(quick("--dry-run", "--json").out)
    assert values["seconds"] > 0 and values["weights"] == "random" and Path(values["folder"]) == Path("runs/demo-mpt")
    assert not Path("runs").exists()
    said = quick("--name", "x").err
    assert "about" in said and "on cpu" in said and str(Path("runs/x")) in said and "RANDOM" in said


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A hub that takes calls and never answers, and an empty folder of downloads."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        yield address


@pytest.mark.parametrize("offline", [False, True])
def test_a_hub_that_cannot_be_reached_is_given_up_soon(
    hub: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, offline: bool
) -> None:
    caplog.set_level("WARNING")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    config, started = TrainConfig(backbone="test_vit"), time.monotonic()
    assert weights_place(config) == "to be fetched from huggingface.co/timm/test_vit.r160_in1k"
    with pytest.raises(UsageError, match=r"model\.safetensors.*--weights"):
        build_backbone(config, 32)
    assert time.monotonic() - started < 5 and caplog.text == ""


def test_weights_that_were_fetched_need_no_network(hub: str, tmp_path: Path) -> None:
    place = tmp_path / "hub" / "models--timm--test_vit.r160_in1k"
    (place / "snapshots" / "abc").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    config = TrainConfig(backbone="test_vit")
    fetched = create_vit(config, 160).state_dict()
    save_file(fetched, place / "snapshots" / "abc" / "model.safetensors")
    assert weights_place(config) == "on disk"
    vit = build_backbone(config, 160).vit
    assert all(torch.equal(fetched[name], tensor) for name, tensor in vit.state_dict().items())


def test_progress_can_be_read_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    for name, value in {"COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    with progress("training the final model", 2600, "fold-epochs") as advance:
        advance(2400, "epoch 100/100  loss 1.234  train acc 50%  12345 clips/s")
    last = [line for line in shown.getvalue().replace("\x1b", "\n").splitlines() if "/" in line]
    text = "".join(part.partition("m")[2] if part.startswith("[") else part for part in last)
    assert "2400/2600" in text and "12345 clips/s" in text and "…" not in text
