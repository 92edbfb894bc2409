"""The picture at the top of the README: python docs/images/make_readme_picture.py, beside a datasets/demo."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from preprocess.datasets.find import find
from preprocess.preview.scene import make_scene
from preprocess.recipe import Recipe

CLIP = "sub01/EP01_01f"
SAMPLES = (0, 5, 10, 15)


def main() -> None:
    """Write docs/images/demo.png."""
    found = find("demo", Path("datasets/demo"))
    clip = next(clip for clip in found.clips if clip.key == CLIP)
    scene = make_scene(clip, Recipe(size=112))
    rows = {
        "original": scene.original,
        f"for the eye, α = {scene.eye_alpha:g}": scene.eye,
        f"for the network, α = {scene.recipe.alpha:g}": scene.rendered.motion,
    }
    moved = [np.abs(frames.astype(float) - frames[0]).max(0) for frames in rows.values()]
    summaries = [
        ("dynamic image", scene.rendered.dynamic_image, None),
        ("where it moved, for the eye", moved[1], "inferno"),
        ("where it moved, for the network", moved[2].max(-1), "inferno"),
    ]
    figure = Figure(figsize=(12, 8), dpi=80, layout="constrained")
    axes = figure.subplots(3, 5)
    for line, (name, frames), (title, summary, colours) in zip(axes, rows.items(), summaries, strict=True):
        for axis, sample in zip(line, SAMPLES, strict=False):
            axis.imshow(frames[sample], cmap="gray", vmin=0, vmax=255)
            axis.set_title(f"{name}, {scene.times()[sample]:.0f} ms", fontsize=9)
        line[-1].imshow(summary, cmap=colours)
        line[-1].set_title(title, fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.savefig(Path(__file__).with_name("demo.png"))


if __name__ == "__main__":
    main()
