"""How fast training is, as ratios within one run: folds together against fold after fold.

    python benchmarks/train.py [--json results.json] [--device cuda] [--full-run]

On a GPU: ViT-B/16 at 224 pixels in bf16, K = 1, 2, 4, 8, 16, 26 folds of 16 clips at a time. On a CPU: a
small ViT at 64 pixels. Measured are

    1  clips per second of training steps for each K, and the ratio to K = 1
    2  the share of the machine's own matrix rate that this reaches (FLOPs counted by PyTorch)
    3  memory per fold
    4  clips per second that each cache mode delivers, and the ratio to what the steps consume
    5  with --full-run: a synthetic LOSO run the size of CASME II, end to end

Every figure is a median of interleaved rounds; the whole takes under 8 minutes on an H200.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# This file is called train.py too; were its folder first, it would hide the package.
sys.path = [str(HERE.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != HERE)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks.noise import random_inputs, synthetic_cache  # noqa: E402
from train.config import Execution, TrainConfig  # noqa: E402
from train.data.clips import ClipPixels, open_clips  # noqa: E402
from train.data.stream import DeviceStream, FileStream, Request, Stream  # noqa: E402
from train.data.task import make_task  # noqa: E402
from train.fold_adam import FoldAdam  # noqa: E402
from train.job import train_run  # noqa: E402
from train.loop import precision  # noqa: E402
from train.model.build import Shape, build_model  # noqa: E402
from train.model.mpt import trained_parameters  # noqa: E402
from train.model.weights import build_backbone  # noqa: E402
from train.results.run_folder import RunFolder  # noqa: E402

BATCH = 16
GPU = {
    "config": TrainConfig(random_weights=True, amp="bf16"),
    "shape": Shape(5, 16, 224),
    "folds": (1, 2, 4, 8, 16, 26),
}
CPU = {
    "config": TrainConfig(
        backbone="vit_tiny_patch16_224", depth=2, width=96, token_channels=32, random_weights=True, amp="fp32"
    ),
    "shape": Shape(5, 16, 64),
    "folds": (1, 2, 4, 8),
}


class Trainer:
    """A model with its optimiser and one batch of random clips; `step` trains once."""

    def __init__(self, config: TrainConfig, shape: Shape, folds: int, device: torch.device) -> None:
        self.config, self.device, self.folds = config, device, folds
        self.model = build_model(config, build_backbone(config, shape.size), shape, range(folds)).to(device)
        self.optimiser = FoldAdam(list(trained_parameters(self.model).values()), folds, config.lr)
        self.inputs = random_inputs(shape, folds, BATCH, device)
        self.labels = torch.randint(0, shape.classes, (folds * BATCH,), device=device)
        self.everyone = np.ones(folds, bool)

    def step(self) -> None:
        """Forward, backward, Adam."""
        with precision(self.config, self.device):
            logits = self.model(self.inputs).float()
        self.optimiser.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), self.labels).backward()
        self.optimiser.step(self.everyone)

    def clips_per_second(self, seconds: float = 2.0) -> float:
        """Over at least `seconds`, after one step to warm up."""
        self.step()
        wait(self.device)
        started, steps = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            self.step()
            wait(self.device)
            steps += 1
        return steps * self.folds * BATCH / (time.perf_counter() - started)


def wait(device: torch.device) -> None:
    """Until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product in `dtype`, best of five."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    rates = []
    for _ in range(6):
        wait(device)
        started = time.perf_counter()
        for _ in range(5):
            a @ b
        wait(device)
        rates.append(5 * 2 * side**3 / (time.perf_counter() - started))
    return max(rates[1:])


def step_flops(config: TrainConfig, shape: Shape, device: torch.device) -> float:
    """FLOPs of one training step per clip, forward and backward."""
    trainer = Trainer(config, shape, 1, device)
    with FlopCounterMode(display=False) as counter:
        trainer.step()
    return counter.get_total_flops() / BATCH


def compare_folds(setting: dict[str, Any], device: torch.device, rounds: int) -> dict[int, dict[str, float]]:
    """Clips per second for each K; each round goes through all of them."""
    speeds: dict[int, list[float]] = {folds: [] for folds in setting["folds"]}
    memory: dict[int, float] = {}
    for _ in range(rounds):
        for folds in setting["folds"]:
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            trainer = Trainer(setting["config"], setting["shape"], folds, device)
            speeds[folds].append(trainer.clips_per_second())
            if device.type == "cuda":
                memory[folds] = torch.cuda.max_memory_allocated(device) / 1e9
            del trainer
    single = speeds[setting["folds"][0]]
    return {
        folds: {
            "clips_per_s": statistics.median(values),
            "ratio": statistics.median(v / s for v, s in zip(values, single, strict=True)),
            "peak_gb": memory.get(folds),
        }
        for folds, values in speeds.items()
    }


def compare_modes(cache: Path, folds: int, device: torch.device, rounds: int) -> dict[str, float]:
    """Clips per second that each cache mode delivers to a loop that does nothing with them."""
    pixels = ClipPixels(open_clips([cache]), "dynamic", True)
    everything = range(len(pixels))
    streams: dict[str, Callable[[], Stream]] = {
        "device": lambda: DeviceStream(pixels, everything, device),
        "stream": lambda: FileStream(pixels, device, 2),
    }
    rng = np.random.default_rng(0)
    requests = [Request(rng.integers(0, len(pixels), (folds, BATCH))) for _ in range(6)]
    speeds: dict[str, list[float]] = {name: [] for name in streams}
    opened = {name: make() for name, make in streams.items()}
    for _ in range(rounds + 1):
        for name, stream in opened.items():
            wait(device)
            started = time.perf_counter()
            for inputs in stream.steps(requests):
                assert inputs.patches is not None
            wait(device)
            speeds[name].append(len(requests) * folds * BATCH / (time.perf_counter() - started))
    return {name: statistics.median(values[1:]) for name, values in speeds.items()}


def full_run(cache: Path, config: TrainConfig, device: torch.device, folder: Path) -> float:
    """Seconds of a LOSO run over the synthetic cache, reading and writing included."""
    task = make_task([cache], config)
    started = time.perf_counter()
    train_run(task, config, Execution(device=str(device)), RunFolder(folder / "run"))
    return time.perf_counter() - started


def report(results: dict[str, Any]) -> Sequence[str]:
    """The results as Markdown."""
    lines = [
        f"{results['device']}, {results['config']}",
        "",
        "| folds at once | clips/s | ratio to 1 | share of the matrix rate | peak GB |",
        "|---:|---:|---:|---:|---:|",
    ]
    for folds, row in results["folds"].items():
        memory = "–" if row["peak_gb"] is None else f"{row['peak_gb']:.2f}"  # known on a GPU only
        lines.append(
            f"| {folds} | {row['clips_per_s']:.0f} | {row['ratio']:.2f} | {row['matrix_share']:.0%} | {memory} |"
        )
    lines += ["", "| cache mode | clips/s delivered | times what the steps consume |", "|---|---:|---:|"]
    best = max(row["clips_per_s"] for row in results["folds"].values())
    lines += [f"| {name} | {speed:.0f} | {speed / best:.1f} |" for name, speed in results["modes"].items()]
    if "run" in results:
        run = results["run"]
        size = f"{run['clips']} clips, {run['folds']} folds, {run['epochs']} epochs"
        lines += ["", f"a whole run over noise ({size}), end to end: {run['seconds']:.0f} s"]
    return lines


def main() -> None:
    """Run everything and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full-run", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    device = torch.device(given.device)
    setting = GPU if device.type == "cuda" else CPU
    config, shape = setting["config"], setting["shape"]
    dtype = torch.bfloat16 if config.amp == "bf16" else torch.float32
    rate, flops = matrix_rate(device, dtype), step_flops(config, shape, device)
    folds = compare_folds(setting, device, given.rounds)
    for row in folds.values():
        row["matrix_share"] = row["clips_per_s"] * flops / rate
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads",
        "config": f"{config.backbone}, {shape.size} pixels, batch {BATCH} per fold, {config.amp}",
        "matrix_rate_tflops": rate / 1e12,
        "step_gflop_per_clip": flops / 1e9,
        "folds": folds,
    }
    with tempfile.TemporaryDirectory() as folder:
        subjects, clips = (26, 247) if device.type == "cuda" else (8, 64)
        cache = synthetic_cache(Path(folder), shape, subjects, clips)
        results["modes"] = compare_modes(cache, max(setting["folds"]), device, given.rounds)
        if given.full_run:
            epochs = 100 if device.type == "cuda" else 3
            results["run"] = {"clips": clips, "folds": subjects, "epochs": epochs}
            results["run"]["seconds"] = full_run(cache, replace(config, epochs=epochs), device, Path(folder))
    print("\n".join(report(results)))
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
