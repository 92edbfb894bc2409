"""At which moments the motion prompts look: the learned Gaussians over time, for each class."""

from pathlib import Path
from typing import Any

import numpy as np

from train.report.loaded import LoadedRun
from train.report.page import Picture, Section
from train.report.style import CYCLE, figure, save


def kernels_section(run: LoadedRun, folder: Path) -> Section | None:
    """The kernels of all tested clips; None for a run without motion prompts."""
    if not all({"mu", "sigma"} <= set(fold.traces) for fold in run.folds):
        return None
    frames = int(run.config["caches"][0]["recipe"]["frames"])
    mu = np.concatenate([fold.traces["mu"] for fold in run.folds])  # (clips, m)
    spread = ", ".join(f"{centre:.1f}" for centre in mu.mean(0))
    picture = Picture(
        save(kernels_figure(run, frames), folder, "kernels"),
        f"Learned Gaussian kernels over {frames} frames; mean centres at frames {spread}.",
        "Each curve is one prompt's Gaussian over the frames (eq. 11): mean over the tested clips of a class, with the "
        "range from the 10th to the 90th percentile of clips.",
    )
    text = (
        f"The {mu.shape[1]} kernels start evenly spread over the clip. They are made for each clip from its own "
        "motion; where the bands are narrow, training found no use for that freedom."
    )
    return Section("kernels", "Moments", [text], [picture])


def kernels_figure(run: LoadedRun, frames: int) -> Any:
    """One panel per class, one colour per prompt."""
    classes = run.classes
    columns = min(3, len(classes))
    rows = -(-len(classes) // columns)
    made, axes = figure(3.4 * columns, 2.5 * rows, columns=columns, rows=rows)
    panels = np.atleast_1d(axes).ravel()
    true = np.concatenate([fold.true for fold in run.folds])
    mu, sigma = (np.concatenate([fold.traces[name] for fold in run.folds]) for name in ("mu", "sigma"))
    times = np.arange(frames)
    exponents = -0.5 * ((times - mu[..., None]) / sigma[..., None]) ** 2  # (clips, m, T)
    weights = np.exp(exponents - exponents.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    for panel, (number, name) in zip(panels, enumerate(classes), strict=False):
        chosen = weights[true == number]
        panel.set_title(f"{name} ({len(chosen)} clips)")
        for k in range(chosen.shape[1] if len(chosen) else 0):
            colour = CYCLE[k % len(CYCLE)]
            low, high = np.percentile(chosen[:, k], [10, 90], axis=0)
            panel.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0)
            panel.plot(times, chosen[:, k].mean(0), color=colour, label=f"prompt {k + 1}")
        panel.set(xlabel="frame (onset 0, offset last)", ylabel="weight", ylim=(0, weights.max() * 1.05))
    for panel in panels[len(classes) :]:
        panel.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=min(7, max(1, len(labels))), fontsize=9)
    return made
