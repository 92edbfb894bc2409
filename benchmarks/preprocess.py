"""How fast preprocessing is, as ratios within one run.

    python benchmarks/preprocess.py [--clips 12] [--rounds 7] [--json results.json]

CASME-II-like clips (66 frames of 280×340, JPEG quality 90) are drawn into a temporary folder. Contenders
take turns, clip by clip, in one pinned thread; each figure is the median CPU time per clip, and each
ratio the median over rounds of the ratio to reading all frames in the same round.

    a  cv2.imread of all 66 frames          b  of the 16 that are needed
    c  ours, default recipe                 c+ the same, and the finished shard of the cache on disk
    d  ours, explicit pyramid, box sampling of all frames, evm gains
    e  as labs usually write it: pyramids of every frame, scipy filter on every level, then sampling
    f  public magnification packages, where they are installed
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# This file is called preprocess.py too; without this it would hide the package.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from scipy import signal  # noqa: E402

from data_cache.schema import CacheAttributes  # noqa: E402
from data_cache.store import write_shard  # noqa: E402
from preprocess.datasets.base import Clip  # noqa: E402
from preprocess.demo.identity import draw_identity  # noqa: E402
from preprocess.demo.motion import Camera, film  # noqa: E402
from preprocess.fanout import fan_out  # noqa: E402
from preprocess.pipeline import process_clip  # noqa: E402
from preprocess.recipe import Recipe  # noqa: E402

FRAMES, HEIGHT, WIDTH = 66, 340, 280
DEFAULT = Recipe()
THOROUGH = Recipe(explicit_pyramid=True, sampling="box", gains="evm")
ATTRIBUTES = CacheAttributes("benchmark", DEFAULT.as_json(), DEFAULT.digest, "0" * 64, {}, "synthetic")


def draw_clip(folder: Path, number: int, frames: int = FRAMES) -> Clip:
    """Draw one clip as JPEG files; longer ones repeat frames."""
    rng = np.random.default_rng(number)
    filmed = film(draw_identity(rng), ("1", "2"), Camera(size=HEIGHT, fps=450), rng).frames
    paths = []
    folder.mkdir(parents=True)
    for index in range(frames):
        frame = filmed[index % len(filmed)][:, (HEIGHT - WIDTH) // 2 :][:, :WIDTH]
        paths.append(folder / f"reg_img{index + 1}.jpg")
        cv2.imwrite(str(paths[-1]), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return Clip("benchmark", "sub01", f"EP{number:02d}", tuple(paths), 1, None, frames, 200.0, "others")


def read_all(clip: Clip) -> None:
    """(a)."""
    for path in clip.frames:  # type: ignore[union-attr]
        cv2.imread(str(path))


def read_needed(clip: Clip) -> None:
    """(b)."""
    for index in np.rint(np.linspace(0, len(clip.frames) - 1, 16)).astype(int):
        cv2.imread(str(clip.frames[index]))  # type: ignore[index]


def ours(clip: Clip) -> None:
    """(c)."""
    process_clip(clip, [DEFAULT])


def ours_written(clip: Clip) -> None:
    """(c+)."""
    write_shard(clip.frames[0].with_suffix(".h5"), process_clip(clip, [DEFAULT])[0], ATTRIBUTES)  # type: ignore[index]


def ours_thorough(clip: Clip) -> None:
    """(d)."""
    process_clip(clip, [THOROUGH])


def as_usual(clip: Clip) -> None:
    """(e): every frame decoded and resized, five-level float64 pyramids, lfilter per level, then 16 frames."""
    frames = [cv2.resize(cv2.imread(str(path)), (224, 224)).astype(np.float64) for path in clip.frames]  # type: ignore[union-attr]
    count = len(frames)
    weights = [sum((2 * i - count - 1) / i for i in range(t, count + 1)) for t in range(1, count + 1)]
    pooled = sum(weight * frame for weight, frame in zip(weights, frames, strict=True))
    cv2.normalize(pooled, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    levels: list[list[np.ndarray]] = [[] for _ in range(5)]
    for frame in frames:
        current = frame
        for level in range(4):
            smaller = cv2.pyrDown(current)
            levels[level].append(current - cv2.pyrUp(smaller, dstsize=current.shape[1::-1]))
            current = smaller
        levels[4].append(current)
    b, a = signal.butter(1, [0.4, 4.0], "bandpass", fs=200.0)
    filtered = [20 * signal.lfilter(b, a, np.stack(level), axis=0) for level in levels]
    magnified = []
    for t, frame in enumerate(frames):
        image = filtered[4][t]
        for level in range(3, -1, -1):
            image = filtered[level][t] + cv2.pyrUp(image, dstsize=filtered[level][t].shape[1::-1])
        magnified.append(np.clip(frame + image, 0, 255).astype(np.uint8))
    [magnified[index] for index in np.rint(np.linspace(0, count - 1, 16)).astype(int)]


def public_packages() -> dict[str, Callable[[Clip], None]]:
    """(f): public packages that are installed. Each decodes and resizes all frames, then magnifies them."""
    try:
        magnify = importlib.import_module("eulerian_magnification.base").eulerian_magnification
    except ImportError:
        print("not installed, so not measured: eulerian-magnification", file=sys.stderr)
        return {}

    def run(clip: Clip) -> None:
        images = [cv2.resize(cv2.imread(str(path)), (224, 224)) for path in clip.frames]  # type: ignore[union-attr]
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            magnify(np.stack(images) / 255, 200, freq_min=0.4, freq_max=4, amplification=20, pyramid_levels=5)

    return {"f eulerian-magnification 0.22": run}


CONTENDERS: dict[str, Callable[[Clip], None]] = {
    "a imread, all frames": read_all,
    "b imread, needed frames": read_needed,
    "c ours": ours,
    "c+ ours, written": ours_written,
    "d ours, explicit": ours_thorough,
    "e per-level, as usual": as_usual,
}


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
    code = (
        f"import runpy, sys; sys.argv = ['x', '--measure', {name!r}, {str(clip_folder)!r}]; "
        f"runpy.run_path({__file__!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
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


def scaling(clips: list[Clip], rounds: int) -> float:
    """Throughput of two workers over one, start-up aside."""
    many = (clips * (80 // len(clips) + 1))[:80]
    ratios = []
    list(fan_out(ours, many[:4], 2))  # workers start
    for _ in range(rounds):
        walls = []
        for jobs in (1, 2):
            started = time.perf_counter()
            list(fan_out(ours, many, jobs))
            walls.append(time.perf_counter() - started)
        ratios.append(walls[0] / walls[1])
    return statistics.median(ratios)


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
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        clips = [draw_clip(Path(folder) / str(n), n) for n in range(given.clips)]
        long_clip = draw_clip(Path(folder) / "long", 999, 2000)
        os.sched_setaffinity(0, cores[:1])
        results: dict[str, Any] = {"contenders": compare(clips, given.rounds)}
        os.sched_setaffinity(0, cores)
        for name in CONTENDERS:
            results["contenders"][name]["peak_mb"] = peak_memory(clips[0].frames[0].parent, name)  # type: ignore[index]
        results["peak_mb_2000_frames"] = peak_memory(long_clip.frames[0].parent, "c ours")  # type: ignore[index]
        results["two_workers_over_one"] = scaling(clips, 3) if len(cores) > 1 else None
    print("| contender | CPU ms per clip | ratio to a | peak MB above imports |")
    print("|---|---:|---:|---:|")
    for name, row in results["contenders"].items():
        print(f"| {name} | {row['cpu_ms']:.1f} | {row['ratio']:.2f} | {row.get('peak_mb', float('nan')):.0f} |")
    print(f"\npeak for a clip of 2,000 frames: {results['peak_mb_2000_frames']:.0f} MB above imports")
    print(f"two workers over one: {results['two_workers_over_one'] or float('nan'):.2f} times the clips per second")
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
