"""How fast training is: folds together against fold after fold, and what a whole run takes.

    python -m benchmarks.train --output measured [--device cuda] [--tiny]

On a GPU: ViT-B/16 at 224 pixels in bf16, 1, 2, 4, 8, 16, 26 folds of 16 clips at a time, and as many as fit. On a
CPU: a small ViT at 64 pixels; `--tiny`, for a test of this script, a smaller one. `measured/` gets results.json and
results.md:

    1  clips per second of the training loop for each number of folds, and the ratio to one
    2  the share of the machine's own matrix rate that this reaches (FLOPs counted by PyTorch); memory and its estimate
    3  the same with torch.compile
    4  clips per second that each cache mode delivers, and the ratio to what the steps consume
    5  a leave-one-subject-out run of the size of CASME II (247 clips, 26 folds, 100 epochs), end to end, in each mode
    6  a run for which the memory does not suffice: with how many folds it ended
    7  what the time of a step goes to (torch.profiler)

Speeds are medians of interleaved rounds.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.noise import synthetic_cache
from train import job
from train.config import Execution, TrainConfig
from train.cost.accounting import MadeUp, bytes_per_fold, folds_at_once, noise
from train.data.stream import DeviceStream, FileStream, Request, Stream
from train.data.task import ClipPixels, make_task, open_clips
from train.device import arithmetic, free_memory
from train.loop import FoldData, fit
from train.model.build import Shape, build_model
from train.model.weights import build_backbone
from train.results.run_folder import RunFolder

SMALL = TrainConfig(
    backbone="vit_tiny_patch16_224", depth=2, width=96, token_channels=32, random_weights=True, amp="fp32"
)
SETTINGS: dict[str, dict[str, Any]] = {
    "cuda": {
        "config": TrainConfig(random_weights=True, amp="auto"),
        "shape": Shape(5, 16, 224),
        "folds": (1, 2, 4, 8, 16, 26),
        "run": {"clips": 247, "folds": 26, "epochs": 100},
    },
    "cpu": {
        "config": SMALL,
        "shape": Shape(5, 16, 64),
        "folds": (1, 2, 4, 8),
        "run": {"clips": 64, "folds": 8, "epochs": 3},
    },
    "tiny": {
        "config": replace(SMALL, depth=1, width=24, token_channels=4, batch_size=4),
        "shape": Shape(5, 4, 32),
        "folds": (1, 2),
        "run": {"clips": 12, "folds": 3, "epochs": 1},
    },
}


class Trainer:
    """A model and batches of noise; `train` is the loop of a run."""

    def __init__(self, config: TrainConfig, shape: Shape, folds: int, device: torch.device, compiled: bool) -> None:
        self.config, self.device, self.folds = config, device, folds
        self.model = build_model(config, build_backbone(config, shape.size), shape, range(folds)).to(device)
        if compiled:
            self.model.compile()
        self.stream = MadeUp(noise(shape, folds, config, device), device)

    def train(self, steps: int) -> None:
        """So many steps of all folds."""
        clips = np.zeros(steps * self.config.batch_size, np.int64)
        fit(self.model, self.stream, [FoldData(clips, clips, 0)] * self.folds, replace(self.config, epochs=1))

    def clips_per_second(self, seconds: float = 2.0) -> float:
        """In an epoch of about `seconds`, after one step to warm up and three to see how long they take."""
        self.train(1)
        steps = 3
        for _ in range(2):
            wait(self.device)
            started = time.perf_counter()
            self.train(steps)
            wait(self.device)
            took = time.perf_counter() - started
            speed = steps * self.folds * self.config.batch_size / took
            steps = max(3, round(seconds * steps / took))
        return speed


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
    trainer = Trainer(config, shape, 1, device, compiled=False)
    with FlopCounterMode(display=False) as counter:
        trainer.train(1)
    return counter.get_total_flops() / config.batch_size


def most_folds(config: TrainConfig, shape: Shape, device: torch.device) -> int:
    """As many as a run would take of 68, the persons of the largest composite set."""
    return folds_at_once(config, Execution(), bytes_per_fold(config, shape, device), free_memory(device), 68)


def compare_folds(
    config: TrainConfig, shape: Shape, counts: Sequence[int], device: torch.device, rounds: int, compiled: bool = False
) -> dict[int, dict[str, float | None]]:
    """Clips per second for each number of folds; each round goes through all of them."""
    speeds: dict[int, list[float]] = {folds: [] for folds in counts}
    memory: dict[int, float] = {}
    for _ in range(rounds):
        for folds in counts:
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            trainer = Trainer(config, shape, folds, device, compiled)
            speeds[folds].append(trainer.clips_per_second())
            if device.type == "cuda":
                memory[folds] = torch.cuda.max_memory_allocated(device) / 1e9
            del trainer
    single, expected = speeds[counts[0]], bytes_per_fold(config, shape, device) / 1e9
    return {
        folds: {
            "clips_per_s": statistics.median(values),
            "ratio": statistics.median(v / s for v, s in zip(values, single, strict=True)),
            "peak_gb": memory.get(folds),
            "expected_gb": folds * expected,
        }
        for folds, values in speeds.items()
    }


def compare_modes(cache: Path, folds: int, batch: int, device: torch.device, rounds: int) -> dict[str, float]:
    """Clips per second that each cache mode delivers to a loop that does nothing with them."""
    pixels = ClipPixels(open_clips([cache]), TrainConfig())
    opened: dict[str, Stream] = {
        "device": DeviceStream(pixels, range(len(pixels)), device),
        "stream": FileStream(pixels, device, 2),
    }
    rng = np.random.default_rng(0)
    requests = [Request(rng.integers(0, len(pixels), (folds, batch))) for _ in range(6)]
    speeds: dict[str, list[float]] = {name: [] for name in opened}
    for _ in range(rounds + 1):
        for name, stream in opened.items():
            wait(device)
            started = time.perf_counter()
            for inputs in stream.steps(requests):
                assert inputs.patches is not None
            wait(device)
            speeds[name].append(len(requests) * folds * batch / (time.perf_counter() - started))
    return {name: statistics.median(values[1:]) for name, values in speeds.items()}


def whole_run(cache: Path, config: TrainConfig, execution: Execution, folder: Path) -> float:
    """Seconds of a leave-one-subject-out run over the noise, reading and writing included."""
    task = make_task([cache], config)
    started = time.perf_counter()
    job.train_run(task, config, execution, RunFolder(folder))
    return time.perf_counter() - started


def short_of_memory(cache: Path, config: TrainConfig, device: torch.device, folder: Path) -> list[str]:
    """What a run says whose folds do not fit all at once: on a GPU into a part of its memory, else as a stub says."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("train").setLevel(logging.INFO)
    logging.getLogger("train").addHandler(handler)
    task = make_task([cache], config)
    train = job.train_group

    def at_most_two(task: Any, group: Sequence[Any], *rest: Any) -> Any:
        if len(group) > 2:
            raise torch.OutOfMemoryError
        return train(task, group, *rest)

    with ExitStack() as stack:
        if device.type == "cuda":
            torch.cuda.empty_cache()
            total = torch.cuda.mem_get_info(device)[1]
            needed = 3 * bytes_per_fold(config, task.shape, device) + 2e9  # three folds, the backbone and the clips
            torch.cuda.set_per_process_memory_fraction(min(1.0, needed / total), device)
            stack.callback(torch.cuda.set_per_process_memory_fraction, 1.0, device)
        else:
            stack.enter_context(patch.object(job, "train_group", at_most_two))
        job.train_run(task, config, Execution(device=str(device), folds_at_once=len(task.folds)), RunFolder(folder))
    logging.getLogger("train").removeHandler(handler)
    return [line for line in said if "out of memory" in line]


def profiled(config: TrainConfig, shape: Shape, folds: int, device: torch.device) -> list[dict[str, Any]]:
    """The operations of three steps that take most of the time, the device's own where it has one."""
    trainer = Trainer(config, shape, folds, device, compiled=False)
    trainer.train(2)
    gpu = [ProfilerActivity.CUDA] if device.type == "cuda" else []
    with profile(activities=[ProfilerActivity.CPU, *gpu]) as profiler:
        trainer.train(3)
        wait(device)
    kind = "self_device_time_total" if gpu else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, kind))
    total = sum(getattr(event, kind) for event in events)
    return [
        {"operation": event.key[:80], "share": getattr(event, kind) / total, "calls": event.count}
        for event in events[:15]
    ]


def report(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [f"{results['device']}, {results['config']}", ""]
    lines += [f"matrix rate {results['matrix_rate_tflops']:.3g} TFLOP/s, {results['step_gflop_per_clip']:.3g} GFLOP"]
    lines[-1] += " a clip and step"
    for title, rows in (("", results["folds"]), ("with torch.compile", results["compiled"])):
        heading = "folds at once", "clips/s", "ratio to 1", "share of the matrix rate", "peak GB", "expected GB"
        lines += ["", *([title, ""] if title else []), f"| {' | '.join(heading)} |", "|" + "---:|" * len(heading)]
        for folds, row in rows.items():
            memory = "–" if row["peak_gb"] is None else f"{row['peak_gb']:.2f}"  # known on a GPU only
            speed = f"{row['clips_per_s']:.0f} | {row['ratio']:.2f} | {row['matrix_share']:.0%}"
            lines.append(f"| {folds} | {speed} | {memory} | {row['expected_gb']:.2f} |")
    lines += [
        "",
        "| cache mode | clips/s delivered | times what the steps consume | whole run, s |",
        "|---|---:|---:|---:|",
    ]
    best = max(row["clips_per_s"] for row in results["folds"].values())
    for name, speed in results["modes"].items():
        lines.append(f"| {name} | {speed:.0f} | {speed / best:.1f} | {results['seconds'][name]:.1f} |")
    run = results["run"]
    lines += ["", f"The whole run: {run['clips']} clips, {run['folds']} folds, {run['epochs']} epochs, end to end."]
    lines += ["", "Short of memory:", "", *(f"- {line}" for line in results["short_of_memory"])]
    lines += ["", "| operation | share of the time | calls in 3 steps |", "|---|---:|---:|"]
    lines += [f"| `{row['operation']}` | {row['share']:.1%} | {row['calls']} |" for row in results["profile"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything, print Markdown, and write it and JSON to a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for results.json and results.md")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to see that every part works")
    given = parser.parse_args()
    device = torch.device(given.device)
    setting = SETTINGS["tiny" if given.tiny else device.type]
    config, shape, size = setting["config"], setting["shape"], setting["run"]
    amp = arithmetic(config.amp, device)
    rate = matrix_rate(device, torch.bfloat16 if amp == "bf16" else torch.float32)
    flops = step_flops(config, shape, device)
    counts = sorted({*setting["folds"], *([most_folds(config, shape, device)] if device.type == "cuda" else [])})
    few = sorted({counts[0], max(setting["folds"])})
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads",
        "config": f"{config.backbone}, {shape.size} pixels, batch {config.batch_size} per fold, {amp}",
        "matrix_rate_tflops": rate / 1e12,
        "step_gflop_per_clip": flops / 1e9,
        "folds": compare_folds(config, shape, counts, device, given.rounds),
        "compiled": compare_folds(config, shape, few, device, given.rounds, compiled=True),
        "run": size,
    }
    for row in (*results["folds"].values(), *results["compiled"].values()):
        row["matrix_share"] = row["clips_per_s"] * flops / rate
    results["profile"] = profiled(config, shape, max(setting["folds"]), device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = synthetic_cache(folder, shape, size["folds"], size["clips"])
        results["modes"] = compare_modes(cache, max(setting["folds"]), config.batch_size, device, given.rounds)
        long, how = replace(config, epochs=size["epochs"]), Execution(device=str(device))
        results["seconds"] = {
            mode: whole_run(cache, long, replace(how, cache_mode=mode), folder / mode) for mode in results["modes"]
        }
        results["short_of_memory"] = short_of_memory(cache, replace(config, epochs=1), device, folder / "short")
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (given.output / "results.md").write_text(report(results), encoding="utf-8")
    print(report(results))


if __name__ == "__main__":
    main()
