"""The scores of a run, and how each class fares, beside other runs if there are any (Fig. 6 of the paper)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.report.loaded import LoadedRun
from train.report.page import Picture, Section
from train.report.style import CYCLE, figure, save
from train.results.tables import Row, Table

METRICS = (("accuracy", "Acc"), ("macro_f1", "macro-F1"), ("uar", "UAR"))


def scores_section(run: LoadedRun, others: Sequence[LoadedRun], folder: Path) -> Section:
    """Pooled scores with interval, baseline and the labelled leak; scores per class."""
    final = run.summary["final_epoch"]
    chance = (
        f"With labels shuffled within each subject the same predictions score {final['permutation_accuracy']:.1%} "
        f"on average; the probability of doing as well by chance is p = {final['permutation_p']:.4f}."
    )
    names = ", ".join(other.name for other in others)
    alt = "; ".join(f"{name}: F1 {final['f1'][c]:.0%}" for c, name in enumerate(run.classes))
    picture = Picture(
        save(class_figure([run, *others]), folder, "classes"),
        f"Recall and F1 of each class. {alt}",
        "Recall and F1 of each class, final epoch" + (f", beside {names}." if names else "."),
    )
    return Section("scores", "Scores", [chance], [picture], [pooled_table(run, others), class_table(run)])


def pooled_table(run: LoadedRun, others: Sequence[LoadedRun] = ()) -> Table:
    """Accuracy, macro-F1 and UAR of a run, of its baselines and of other runs."""
    summary = run.summary
    final = summary["final_epoch"]
    intervals = (" – ".join(f"{100 * value:.1f}" for value in final["interval_95"][metric]) for metric, _ in METRICS)
    return Table(
        "scores",
        "Pooled scores",
        ("", *(label for _, label in METRICS)),
        (
            Row(_cells("final epoch", final), "headline"),
            Row(("95 % interval (subjects drawn with replacement), %", *intervals)),
            Row(_cells("always the most frequent class", summary["majority_baseline"])),
            Row(_cells("mean over subjects", summary["fold_average"])),
            *(Row(_cells(f"run {other.name}, final epoch", other.summary["final_epoch"])) for other in others),
            Row(_cells("best epoch on the test subject: a leak, not a result", summary["oracle_best_epoch"]), "leak"),
        ),
    )


def class_table(run: LoadedRun) -> Table:
    """Precision, recall and F1 of each class."""
    final = run.summary["final_epoch"]
    return Table(
        "classes",
        "Each class, final epoch",
        ("class", "clips", "precision", "recall", "F1"),
        tuple(
            Row(
                (
                    name,
                    str(final["support"][c]),
                    *(f"{final[metric][c]:.1%}" for metric in ("precision", "recall", "f1")),
                )
            )
            for c, name in enumerate(run.classes)
        ),
    )


def class_figure(runs: Sequence[LoadedRun]) -> Any:
    """Bars of recall and F1 per class, one colour per run."""
    classes = runs[0].classes
    made, axes = figure(max(6.0, 1.5 * len(classes) + 2.5), 5.2, rows=2)
    width = 0.8 / len(runs)
    places = np.arange(len(classes))
    for axis, (metric, label) in zip(axes, (("recall", "recall"), ("f1", "F1")), strict=True):
        for number, run in enumerate(runs):
            values = [run.summary["final_epoch"][metric][run.classes.index(name)] for name in classes]
            left = places + (number - (len(runs) - 1) / 2) * width
            bars = axis.bar(left, values, width * 0.95, color=CYCLE[number % len(CYCLE)], label=run.name)
            axis.bar_label(bars, [f"{value:.0%}" for value in values], fontsize=8, padding=1)
        axis.axhline(1 / len(classes), color="#666666", linewidth=0.8, linestyle=":")
        axis.set_xticks(places, classes)
        axis.set(ylabel=label, ylim=(0, 1.08))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0].legend(loc="upper right", ncols=len(runs), fontsize=9)
    axes[1].set_xlabel("class; the dotted line is 1 / number of classes")
    return made


def _cells(name: str, values: dict[str, Any]) -> tuple[str, ...]:
    return (name, *(f"{values[metric]:.1%}" for metric, _ in METRICS))
