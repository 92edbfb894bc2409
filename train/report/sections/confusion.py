"""Confusion matrices (Fig. 4 of the paper): counts and rates in each cell."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.report.loaded import LoadedRun
from train.report.page import Picture, Section
from train.report.style import SEQUENTIAL, class_ticks, figure, save


def confusion_section(run: LoadedRun, others: Sequence[LoadedRun], folder: Path) -> Section:
    """The pooled matrix of the run, and those of other runs."""
    section = Section("confusion", "Confusion matrix")
    for number, each in enumerate([run, *others]):
        matrix = np.array(each.summary["final_epoch"]["confusion"])
        name = "confusion" if number == 0 else f"confusion-{each.name}"
        diagonal = ", ".join(f"{label} {matrix[c, c]} of {matrix[c].sum()}" for c, label in enumerate(each.classes))
        section.pictures.append(
            Picture(
                save(confusion_figure(matrix, each.classes, each.name), folder, name),
                f"Confusion matrix of {each.name}; right: {diagonal}",
                f"{each.name}: rows are true classes; shares (and counts) add up along each row.",
            )
        )
    return section


def confusion_figure(matrix: np.ndarray, classes: Sequence[str], title: str) -> Any:
    """A matrix of counts (rows true, columns predicted) as a figure; colour and percentages are row shares."""
    side = 1.6 + 0.85 * len(classes)
    made, axes = figure(side + 0.9, side)
    picture = draw_matrix(axes, matrix, classes)
    axes.set(title=title)
    made.colorbar(picture, ax=axes, label="share of the true class", fraction=0.046)
    return made


def draw_matrix(axes: Any, matrix: np.ndarray, classes: Sequence[str]) -> Any:
    """The same on matplotlib axes that are there already; the image that was drawn."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        axes.text(
            column,
            row,
            f"{shares[row, column]:.0%}\n({matrix[row, column]})",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if shares[row, column] > 0.5 else "black",
        )
    class_ticks(axes.xaxis, classes)
    class_ticks(axes.yaxis, classes)
    axes.tick_params(axis="x", rotation=30)
    axes.set(xlabel="predicted class", ylabel="true class")
    return picture
