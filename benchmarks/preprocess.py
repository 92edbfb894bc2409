"""How fast preprocessing is, as ratios within one run.

    python -m benchmarks.preprocess [--clips 12] [--rounds 7] [--json results.json]

CASME-II-like clips (66 frames of 280×340, JPEG quality 90) are drawn into a temporary folder. Contenders
take turns, clip by clip, in one pinned thread; each figure is the median CPU time per clip, and each
ratio the median over rounds of the ratio to reading all frames in the same round.

    a  cv2.imread of all 66 frames          b  of the 16 that are needed
    c  ours, default recipe                 c+ the same, and the finished shard of the cache on disk
    c* the same with --stabilise rigid
    d  ours, explicit pyramid, box sampling of all frames, evm gains
    e  as labs usually write it: pyramids of every frame, scipy filter on every level, then sampling
    f  public magnification packages, where they are installed

Then two workers over one: our pool, and two processes that share nothing, for the machine's own limit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"

import cv2  # noqa: E402
import psutil  # noqa: E402

from benchmarks.contenders import CONTENDERS, draw_clip, public_packages  # noqa: E402
from benchmarks.two_workers import compare_workers  # noqa: E402
from preprocess.datasets.base import Clip  # noqa: E402


def compare(clips: list[Clip], rounds: int) -> dict[str, dict[str, float]]:
    """CPU milliseconds per clip and ratio to (a), contenders in turn."""
    contenders = {**CONTENDERS, **public_packages()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        spent = dict.fromkeys(contenders, 0.0)
        for clip in clips:
            for name, work in contenders.items():
                started = time.process_time()
                work(clip)
                spent[name] += time.process_time() - started
        if number:  # the first round warms caches
            for name, seconds in spent.items():
                times[name].append(1000 * seconds / len(clips))
    base = times["a imread, all frames"]
    return {
        name: {
            "cpu_ms": statistics.median(values),
            "ratio": statistics.median(v / b for v, b in zip(values, base, strict=True)),
        }
        for name, values in times.items()
    }


def peak_memory(clip_folder: Path, name: str) -> float:
    """MB that a contender needs above a process that only imported it."""
    command = [sys.executable, "-m", "benchmarks.preprocess", "--measure", name, str(clip_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure_memory(name: str, folder: Path) -> None:
    """Child process: print the growth of the peak."""
    cv2.setNumThreads(1)
    paths = sorted(folder.iterdir(), key=lambda path: int(path.stem.removeprefix("reg_img")))
    frames = tuple(path for path in paths if path.suffix == ".jpg")
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak that importing reached
    CONTENDERS[name](Clip("benchmark", "s", "c", frames, 1, None, len(frames), 200.0, ""))
    print((memory("VmHWM") - before) / 1024)


def memory(field: str) -> int:
    """A field of /proc/self/status in KiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0])


def main() -> None:
    """Run everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure_memory(given.measure[0], Path(given.measure[1]))
        return
    cv2.setNumThreads(1)
    cores = psutil.Process().cpu_affinity()
    with tempfile.TemporaryDirectory() as folder:
        clips = [draw_clip(Path(folder) / str(n), n) for n in range(given.clips)]
        long_clip = draw_clip(Path(folder) / "long", 999, 2000)
        psutil.Process().cpu_affinity(cores[:1])
        results: dict[str, Any] = {"contenders": compare(clips, given.rounds)}
        psutil.Process().cpu_affinity(cores)
        for name in CONTENDERS:
            results["contenders"][name]["peak_mb"] = peak_memory(clips[0].frames[0].parent, name)  # type: ignore[index]
        results["peak_mb_2000_frames"] = peak_memory(long_clip.frames[0].parent, "c ours")  # type: ignore[index]
        results["two_workers_over_one"] = compare_workers(clips, given.rounds) if len(cores) > 1 else {}
    print("| contender | CPU ms per clip | ratio to a | peak MB above imports |")
    print("|---|---:|---:|---:|")
    for name, row in results["contenders"].items():
        print(f"| {name} | {row['cpu_ms']:.1f} | {row['ratio']:.2f} | {row.get('peak_mb', float('nan')):.0f} |")
    print(f"\npeak for a clip of 2,000 frames: {results['peak_mb_2000_frames']:.0f} MB above imports")
    print("\n| two workers over one | times the clips per second |\n|---|---:|")
    for name, ratio in results["two_workers_over_one"].items():
        print(f"| {name} | {ratio:.2f} |")
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
