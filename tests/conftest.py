"""Fixtures that several test files share: small images, caches and models; commands in this process and in others."""

import contextlib
import functools
import gc
import importlib
import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import COMMANDS
from hypothesis import settings

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

# The process that only hands out tests to others reads this file too: what takes long to import, fixtures import.
gc.disable()  # nothing that is imported is ever free
settings.register_profile("shared machine", deadline=None)  # a slow moment of a busy machine is no failure
settings.load_profile("shared machine")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_here(program: str, *arguments: object) -> int:
    """Run one of our commands, or a script, in this process; its exit code."""
    handler = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", [program, *map(str, arguments)])
        if program in COMMANDS:
            importlib.import_module(COMMANDS[program]).main()
        else:
            runpy.run_path(program, run_name="__main__")
    signal.signal(signal.SIGINT, handler)  # commands end with Ctrl-C switched off
    return int(ended.value.code or 0)


# What these hold needs signals to process groups, limits of resources, or links, as POSIX has them.
collect_ignore = [f"preprocess/test_{name}.py" for name in ("kills", "full_disk", "cluster")] if os.name == "nt" else []
EMOTIONS = ("disgust", "happiness", "others", "repression", "surprise")


def pytest_collection_finish() -> None:
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports travel between processes as UTF-8; what was logged of files with other names is escaped."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small tests, one worker per core: more threads only cost. What tests start inherits the variable."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _nothing_twice() -> Iterator[None]:
    """Most of a tiny run of `mpt-train` is to draw subjects again and again: here a confusion matrix that was scored is
    not scored again."""
    from train.results import metrics

    scores = metrics.scores
    known = functools.cache(lambda shape, dtype, values: scores(np.frombuffer(values, dtype).reshape(shape)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "scores", lambda matrix: known(matrix.shape, matrix.dtype, matrix.tobytes()))
        yield


@pytest.fixture
def write_frames(rng: np.random.Generator) -> Callable[..., Path]:
    """Write numbered images of smooth noise into a folder."""
    import cv2

    def write(folder: Path, numbers: range, name: str = "reg_img{}.jpg", size: tuple[int, int] = (40, 30)) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            image = cv2.GaussianBlur(rng.integers(0, 256, (*size, 3)).astype(np.float32), (0, 0), 3)
            cv2.imwrite(str(folder / name.format(number)), image.astype(np.uint8))
        return folder

    return write


@pytest.fixture(scope="session")
def make_cache() -> Callable[..., Path]:
    """Write a small cache whose classes differ in brightness over time, so that a model can learn them."""
    from data_cache.digest import digest
    from data_cache.schema import CacheAttributes, ClipRecord
    from data_cache.write.shards import merge, write_shard

    def make(
        path: Path,
        subjects: dict[str, int],
        dataset: str = "demo",
        size: int = 32,
        frames: int = 8,
        seed: int = 0,
        emotions: tuple[str, ...] = EMOTIONS,
        onset_frames: bool = True,
        **given: object,
    ) -> Path:
        rng = np.random.default_rng(seed)
        recipe = {"frames": frames, "size": size, "alpha": 20.0, "filter": "causal", "motion_form": "additive", **given}
        attributes = CacheAttributes(dataset, recipe, digest(recipe), "0" * 64, {"notes": []}, "test data")
        shards = []
        for subject, clips in subjects.items():
            for number in range(clips):
                label = int(rng.integers(len(emotions)))
                motion = rng.integers(60, 196, (frames, size, size, 3))
                rise = np.linspace(0, 60, frames)[:, None, None] * (label - 2) / 2
                motion[:, : size // 2, :, 0] += rise.astype(np.int64)
                image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                motion = np.clip(motion, 0, 255).astype(np.uint8)
                record = ClipRecord(
                    subject=subject,
                    clip=f"EP{number:02d}",
                    emotion=emotions[label],
                    onset=1,
                    apex=-1,
                    offset=40,
                    n_frames=40,
                    fps=200.0,
                    clipped_fraction=0.0,
                    dynamic_image=image,
                    motion=motion,
                    onset_frame=motion[0] if onset_frames else None,
                )
                shards.append(path.with_name(f"{path.name}.{subject}.{number}"))
                write_shard(shards[-1], record, attributes)
        merge(shards, path)
        for shard in shards:
            shard.unlink()
        return path

    return make


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Run one of our commands in this process, inside an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(program: str, *arguments: object) -> Outcome:
        capfd.readouterr()
        code = run_here(program, *arguments)
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def quick(command: Callable[..., Outcome], cache: Path) -> Callable[..., Outcome]:
    """Train a tiny model on `cache`, or on others, in a second."""
    from tiny_runs import QUICK

    return lambda *more, on=(cache,): command("mpt-train", *on, *QUICK, *more)


VIT_KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clip": {"pre_norm": True, "act_layer": "quick_gelu", "norm_layer": "layernorm"},
    "registers": {"reg_tokens": 4, "init_values": 1e-1},
    "average": {"global_pool": "avg"},
    "no class token": {"class_token": False, "global_pool": "avg"},
    "attention pooling": {"class_token": False, "global_pool": "map"},
}


@pytest.fixture(scope="session")
def tiny_vit() -> Callable[..., "VisionTransformer"]:
    """Make a small random ViT of one of the kinds in `VIT_KINDS`: 32 pixels, patches of 8, width 24, 3 blocks."""
    import torch
    from timm.models.vision_transformer import VisionTransformer

    def make(kind: str = "plain", **options: Any) -> VisionTransformer:
        torch.manual_seed(0)
        shape = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": 0}
        vit = VisionTransformer(**{**shape, **VIT_KINDS[kind], **options})
        vit.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
        for parameter in vit.parameters():  # norms start at 1 and 0, which would hide mistakes
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
        return vit

    return make


@pytest.fixture(scope="session")
def drawn_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty drawn clips of four persons, in the layout of CASME II."""
    from preprocess.demo.generate import DemoSet, generate
    from preprocess.demo.motion import Camera

    folder = tmp_path_factory.mktemp("drawn")
    generate(folder, DemoSet(subjects=4, clips_per_class=1, seed=5, camera=Camera(size=48)), jobs=1)
    return folder


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory, make_cache: Callable[..., Path]) -> Path:
    """A valid cache of nine small clips."""
    return make_cache(tmp_path_factory.mktemp("sound") / "sound.h5", {"s1": 4, "s2": 5}, size=24, frames=4)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, make_cache: Callable[..., Path]) -> Path:
    """A cache of three subjects to train on; to be read only."""
    from tiny_runs import SUBJECTS

    return make_cache(tmp_path_factory.mktemp("cache") / "demo.h5", SUBJECTS)


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy of the valid cache, to damage, without its checksum file."""
    return Path(shutil.copy(sound, tmp_path / "copy.h5"))


@pytest.fixture(scope="session")
def uninterrupted(drawn_set: Path, make_run: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed build of the drawn set makes."""
    from builds import SIZE

    folder = tmp_path_factory.mktemp("reference")
    make_run(folder, "mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "reference.h5")
    return folder / "reference.h5"


@pytest.fixture(scope="session")
def make_run() -> Callable[..., None]:
    """Run one of our commands in a folder; for fixtures that many tests share."""

    def make(folder: Path, program: str, *arguments: object) -> None:
        with contextlib.chdir(folder):
            assert run_here(program, *arguments) == 0

    return make


@pytest.fixture
def plain_report() -> Iterator[None]:
    """Reports without drawings, for tests of what is in them."""
    from tiny_runs import undrawn

    with undrawn():
        yield


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start one of our commands, or any Python module, as a process group of its own; none outlives the test."""
    if os.name == "nt":
        pytest.skip("Windows has no process groups to interrupt")
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", COMMANDS.get(program, program), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "200", **environment},
            start_new_session=True,
            # a test run in the background ignores Ctrl-C, which children would inherit
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
