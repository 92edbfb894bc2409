"""The memory of a worker does not grow with the length of a clip."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import WriteFrames

LIMIT = 150 * 2**20
MEASURE = """
import sys
from pathlib import Path
import cv2, scipy.signal, scipy.sparse  # imports count as footprint, whenever they happen
from preprocess.clip import Clip
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe

def peak():  # of this program alone; getrusage counts the process that started it too
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

folder, kind = Path(sys.argv[1]), sys.argv[2]
frames = tuple(sorted(folder.iterdir(), key=lambda path: int(path.stem)))
recipes = {"default": Recipe(), "heaviest": Recipe(sampling="box", gains="evm", explicit_pyramid=True)}
before = peak()
(record,) = process_clip(Clip("lab", "s", "c", frames, 0, None, len(frames) - 1, 200.0, ""), [recipes[kind]])
assert record.n_frames == len(frames)
print(1024 * (peak() - before))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("frames", [66, 2000])
@pytest.mark.parametrize("kind", ["default", "heaviest"])
def test_a_worker_stays_small_whatever_the_clip(
    frames: int, kind: str, tmp_path: Path, write_frames: WriteFrames
) -> None:
    few = write_frames(tmp_path / "few", range(20), "{}.jpg", size=(340, 280))
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(frames):
        os.link(few / f"{number % 20}.jpg", folder / f"{number}.jpg")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), kind], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < LIMIT, f"{int(done.stdout) / 2**20:.0f} MB"
