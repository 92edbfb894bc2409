"""The picture at the top of the README, from what `make demo` leaves: python docs/images/make_readme_picture.py."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from data_cache.explore.originals import find_inverse, for_the_eye
from preprocess.datasets.find import find
from preprocess.preview.scene import make_scene
from preprocess.recipe import Recipe
from train.report.sections.scores import draw_matrix

CLIP = "sub01/EP01_01f"
SAMPLES = (0, 5, 10, 15)


def main() -> None:
    """Write docs/images/demo.png."""
    found = find("demo", Path("datasets/demo"))
    clip = next(clip for clip in found.clips if clip.key == CLIP)
    scene = make_scene(clip, Recipe())
    run = Path("runs/demo")
    summary = json.loads((run / "summary.json").read_text())
    inverse = find_inverse(scene.recipe.as_json(), len(clip.frames), clip.fps)
    eye, _ = for_the_eye(scene.original, inverse)
    rows = {"original": scene.original, "for the eye": eye, "network": scene.rendered.motion}
    figure = Figure(figsize=(12, 6), dpi=100, layout="constrained")
    pictures, matrix = figure.subfigures(1, 2, width_ratios=(1.65, 1))
    axes = pictures.subplots(3, 5)
    for row, (name, frames) in enumerate(rows.items()):
        for column, sample in enumerate(SAMPLES):
            axes[row, column].imshow(frames[sample], cmap="gray", vmin=0, vmax=255)
            axes[row, column].set_title(f"{name}, {scene.times()[sample]:.0f} ms", fontsize=9)
    still = np.abs(scene.rendered.motion.astype(float) - scene.rendered.motion[0]).max((0, 3))
    axes[0, 4].imshow(scene.rendered.dynamic_image)
    axes[0, 4].set_title("dynamic image", fontsize=9)
    axes[2, 4].imshow(still, cmap="inferno")
    axes[2, 4].set_title("where it moved", fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    draw_matrix(matrix.subplots(), np.array(summary["final_epoch"]["confusion"]), summary["classes"])
    figure.savefig(Path(__file__).with_name("demo.png"))


if __name__ == "__main__":
    main()
