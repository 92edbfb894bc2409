"""The figures of the page about the method, drawn by our own functions: python docs/images/make_method_figures.py DEMO.

DEMO is a folder with `datasets/demo` and `runs/demo`. The curves are SVG in a grey that shows on white and on black.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from data_cache.filters import filter_matrix
from preprocess.datasets.find import find
from preprocess.motion.pyramid import laplacian_pyramid
from preprocess.motion.temporal import temporal_plan
from preprocess.preview.draw import make_scene
from preprocess.recipe import Recipe
from train.report.figures import CYCLE
from train.results.run_folder import RunFolder

FOLDER = Path(__file__).parent / "method"
GREY = "#808080"
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY),
    **{"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "font.size": 10},
    **{"svg.fonttype": "none", "svg.hashsalt": "mpt", "figure.constrained_layout.use": True},
}
FRAMES, FPS = 66, 200.0
"""Length and rate of a usual clip of CASME II."""


def filter_curve() -> Figure:
    """A smooth rise and fall, and what each filter makes of it; beside it the gain over frequency."""
    recipe = Recipe()
    plan = temporal_plan(FRAMES, FPS, recipe)
    time = np.arange(recipe.frames) / plan.rate * 1e3
    movement = np.sin(np.pi * np.linspace(0, 1, recipe.frames)) ** 2
    figure = Figure(figsize=(7.6, 2.9))
    left, right = figure.subplots(1, 2)
    left.plot(time, movement, color=GREY, linestyle="--", label="movement")
    for colour, kind in zip(CYCLE, ("causal", "filtfilt", "difference"), strict=False):
        kept = filter_matrix(recipe.frames, plan.rate, plan.band, recipe.order, kind)
        left.plot(time, kept @ movement, color=colour, label=kind)
    left.set(xlabel="time from the onset, ms", ylabel="movement, filtered")
    left.legend(fontsize=8)
    hertz = np.geomspace(0.05, plan.rate / 2, 200)
    long = filter_matrix(2000, plan.rate, plan.band, recipe.order, "causal")[-1]  # of a clip without an end
    gain = np.abs(np.exp(-2j * np.pi * hertz[:, None] * np.arange(2000)[::-1] / plan.rate) @ long)
    right.semilogx(hertz, gain, color=CYCLE[0])
    for cut in plan.band:
        right.axvline(cut, color=GREY, linewidth=0.8, linestyle=":")
    right.set(xlabel="frequency, Hz", ylabel="gain")
    return figure


def kernels(demo: Path) -> Figure:
    """The five windows of one clip as they start, and as they are after training."""
    run = RunFolder(demo / "runs/demo").load()
    fold, frames = run.folds[0], run.config["caches"][0]["recipe"]["frames"]
    m = fold.traces["mu"].shape[1]
    start = ((np.arange(m) + 0.5) / m * (frames - 1), np.full(m, (frames - 1) / (2 * m)))
    figure = Figure(figsize=(7.6, 2.4))
    axes = figure.subplots(1, 2, sharey=True)
    trained = fold.traces["mu"][0], fold.traces["sigma"][0]
    for axis, title, (mu, sigma) in zip(axes, ("at the start", "trained, one clip"), (start, trained), strict=True):
        for k, weights in enumerate(windows(np.asarray(mu), np.asarray(sigma), frames)):
            axis.plot(weights, color=CYCLE[k], marker=".")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("frame")
    axes[0].set_ylabel("weight")
    return figure


def windows(mu: np.ndarray, sigma: np.ndarray, frames: int) -> np.ndarray:
    """Eq. 11: Gaussians (m, T) over the frames, each with sum 1."""
    height = np.exp(-0.5 * ((np.arange(frames) - mu[:, None]) / sigma[:, None]) ** 2)
    return height / height.sum(1, keepdims=True)


def pictures(demo: Path) -> dict[str, Figure]:
    """The bands of a frame, and the dynamic images of four clips."""
    found = {clip.key: clip for clip in find("demo", demo / "datasets/demo").clips}
    clips = {clip.emotion: clip for clip in found.values() if clip.subject == "sub01"}
    scenes = {emotion: make_scene(clip, Recipe(size=224)) for emotion, clip in sorted(clips.items())}
    first = next(iter(scenes.values()))
    bands = laplacian_pyramid(first.original[8].astype(np.float32), 5)
    pyramid = Figure(figsize=(10, 2.4), dpi=100)
    for axis, number, band in zip(pyramid.subplots(1, 5), range(5), bands, strict=True):
        shown = band / 255 if number == 4 else 0.5 + band / (2 * np.abs(band).max())
        axis.imshow(np.clip(shown, 0, 1))
        axis.set_title(f"{band.shape[1]} × {band.shape[0]}" + (", residual" if number == 4 else ""))
    dynamic = Figure(figsize=(10, 2.4), dpi=100)
    for axis, (emotion, scene) in zip(dynamic.subplots(1, len(scenes)), scenes.items(), strict=True):
        axis.imshow(scene.rendered.dynamic_image)
        axis.set_title(emotion)
    for figure in (pyramid, dynamic):
        for axis in figure.axes:
            axis.set_axis_off()
    return {"pyramid": pyramid, "dynamic": dynamic}


def main(demo: Path) -> None:
    """Write docs/images/method."""
    FOLDER.mkdir(exist_ok=True)
    with rc_context(STYLE):
        for name, figure in {"filter": filter_curve(), "kernels": kernels(demo)}.items():
            figure.savefig(FOLDER / f"{name}.svg", transparent=True, metadata={"Date": None})
        for name, figure in pictures(demo).items():
            figure.savefig(FOLDER / f"{name}.webp", transparent=True, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
