"""Each subject's results: accuracy differs more between people than between methods."""

from pathlib import Path
from typing import Any

import numpy as np

from train.report.loaded import LoadedRun
from train.report.page import Picture, Section
from train.report.style import CYCLE, figure, save
from train.results.tables import Row, Table


def subjects_section(run: LoadedRun, folder: Path) -> Section:
    """A bar per subject and a table."""
    right = {fold.name: int((fold.predicted == fold.true).sum()) for fold in run.folds}
    table = Table(
        "subjects",
        "Each subject",
        ("subject", "clips", "right", "accuracy", "classes shown", "trained on", "seconds"),
        tuple(
            Row(
                (
                    fold.name.replace("__", "/"),
                    str(len(fold.clips)),
                    str(right[fold.name]),
                    f"{right[fold.name] / len(fold.clips):.0%}",
                    str(len(set(fold.true.tolist()))),
                    str(fold.train_clips),
                    f"{fold.seconds:.0f}",
                )
            )
            for fold in run.folds
        ),
    )
    picture = Picture(
        save(subjects_figure(run), folder, "subjects"),
        "Accuracy of each subject; " + ", ".join(f"{row.cells[0]} {row.cells[3]}" for row in table.rows),
        "Accuracy of each left-out subject; the width of a bar is the subject's number of clips.",
    )
    return Section("subjects", "Subjects", [], [picture], [table])


def subjects_figure(run: LoadedRun) -> Any:
    """Bars as wide as the subject's number of clips, so that area is what counts in the pooled score."""
    folds = sorted(run.folds, key=lambda fold: -float((fold.predicted == fold.true).mean()))
    widths = np.array([len(fold.clips) for fold in folds], float)
    heights = [float((fold.predicted == fold.true).mean()) for fold in folds]
    centres = np.cumsum(widths) - widths / 2
    made, axes = figure(9, 3.4)
    axes.bar(centres, heights, widths * 0.94, color=CYCLE[4], edgecolor="white")
    axes.axhline(run.summary["final_epoch"]["accuracy"], color=CYCLE[5], linewidth=1.2, label="pooled")
    axes.axhline(run.summary["majority_baseline"]["accuracy"], color="#666666", linestyle=":", label="majority class")
    axes.set_xticks(centres, [fold.subject for fold in folds], rotation=90 if len(folds) > 12 else 0, fontsize=8)
    axes.set(ylabel="accuracy", ylim=(0, 1.05), xlabel="subject left out")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(fontsize=9, loc="upper right")
    return made
