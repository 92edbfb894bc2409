"""The contact sheet of one clip: what came in above, what goes to the network below."""

from pathlib import Path

import numpy as np

from preprocess.preview.scene import Scene

COLUMNS = 4
INCHES = 2.4  # side of a picture
DPI = 110


def draw_sheet(scene: Scene, path: Path) -> None:
    """Write the sheet as PNG: onset, apex, offset and dynamic image; below, original over magnified frames."""
    from matplotlib.figure import Figure

    clip, T = scene.clip, len(scene.original)
    samples = np.unique(np.linspace(0, T - 1, min(T, 2 * COLUMNS)).round().astype(int))
    rows = _key_frames(scene), *_magnified(scene, samples)
    height = len(rows) * (INCHES + 0.3) + 0.6
    figure = Figure(figsize=(COLUMNS * INCHES, height), dpi=DPI, layout="constrained")
    figure.suptitle(_title(scene), fontsize=11)
    axes = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, pictures in zip(axes, rows, strict=True):
        for axis, (label, image) in zip(row, pictures, strict=False):
            axis.imshow(image, interpolation="nearest")
            axis.set_title(label, fontsize=8.5, pad=3)
    figure.savefig(path, format="png", metadata={"Title": f"{clip.dataset} {clip.key}"})


def _title(scene: Scene) -> str:
    clip = scene.clip
    emotion = clip.emotion or "no label"
    units = f" (AU {clip.action_units})" if clip.action_units else ""
    length = f"{len(clip.frames)} frames at {clip.fps:g} Hz, {len(clip.frames) / clip.fps * 1e3:.0f} ms"
    clipped = f"{scene.rendered.clipped_fraction:.1%} of values clipped"
    return f"{clip.dataset}  {clip.key}  {emotion}{units}\n{length}; α = {scene.recipe.alpha:g}, {clipped}"


def _key_frames(scene: Scene) -> list[tuple[str, np.ndarray]]:
    clip = scene.clip
    middle = "middle sample (apex unknown)", scene.original[len(scene.original) // 2]
    return [
        (f"onset {clip.onset}", scene.original[0]),
        middle if scene.apex is None else (f"apex {clip.apex}", scene.apex),
        (f"offset {clip.offset}", scene.original[-1]),
        ("dynamic image", scene.rendered.dynamic_image),
    ]


def _magnified(scene: Scene, samples: np.ndarray) -> list[list[tuple[str, np.ndarray]]]:
    times = scene.times()
    pictures = [(f"magnified, sample {t + 1} ({times[t]:.0f} ms)", scene.rendered.motion[t]) for t in samples]
    return [pictures[start : start + COLUMNS] for start in range(0, len(pictures), COLUMNS)]
