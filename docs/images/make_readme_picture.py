"""The moving picture at the top of the README: python docs/images/make_readme_picture.py DEMO.

DEMO is a folder with `datasets/demo` and `runs/demo`.
"""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from make_method_figures import windows
from matplotlib.figure import Figure
from PIL import Image

from preprocess.datasets.find import find
from preprocess.preview.draw import make_scene
from preprocess.recipe import Recipe, read_recipe
from train.report.figures import CYCLE
from train.results.run_folder import RunFolder

CLIP = "sub01/EP01_01f"
STEP, PAUSE = 120, 700
"""Milliseconds that a frame is shown, and the last one."""


def main(demo: Path) -> None:
    """Write docs/images/demo.webp."""
    clip = next(clip for clip in find("demo", demo / "datasets/demo").clips if clip.key == CLIP)
    scene = make_scene(clip, Recipe(size=224, **read_recipe("clean")))
    run = RunFolder(demo / "runs/demo").load()
    traces, row = next(
        (fold.traces, n) for fold in run.folds for n, key in enumerate(fold.keys) if "/".join(key[1:]) == CLIP
    )
    weights = windows(traces["mu"][row], traces["sigma"][row], len(scene.original))
    frames = [_frame(scene.original[t], scene.eye[t], scene.eye_alpha, weights, t) for t in range(len(scene.original))]
    durations = [STEP] * (len(frames) - 1) + [PAUSE]
    path = Path(__file__).with_name("demo.webp")
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=80, method=6)


def _frame(original: np.ndarray, eye: np.ndarray, alpha: float, weights: np.ndarray, now: int) -> Image.Image:
    figure = Figure(figsize=(9.6, 3.3), dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, image, title in zip(
        axes, (original, eye), ("original", f"magnified {alpha:g}× for the eye"), strict=False
    ):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title)
        axis.set_axis_off()
    for k, curve in enumerate(weights):
        axes[2].plot(curve, color=CYCLE[k], alpha=0.45)
        axes[2].plot(now, curve[now], "o", color=CYCLE[k])
    axes[2].axvline(now, color="#999999", linewidth=0.8)
    axes[2].set(title="five motion prompts over time", xlabel="frame", yticks=[], box_aspect=1)
    file = BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
