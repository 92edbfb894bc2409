"""The scores of a run, beside other runs if there are any: pooled, by class, by subject, and as confusion matrices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.names import natural_key
from train.data.folds import LOSO
from train.report.page import CYCLE, Picture, Section, figure, save
from train.results.metrics import METRICS, Prediction
from train.results.run_folder import Run
from train.results.summary import PART_HEADINGS, part_rows, split_title
from train.results.tables import Row, Table

_HEADINGS = ("", "Acc", "macro-F1", "UAR")


def scores_section(run: Run, others: Sequence[Run], folder: Path) -> Section:
    """Pooled scores with interval, baseline and the labelled leak; scores per class."""
    final = run.summary["final_epoch"]
    chance = (
        f"Permutation test, labels shuffled within each subject: p = {final['permutation_p']:.4f}, chance accuracy "
        f"{final['permutation_accuracy']:.1%}."
    )
    names = ", ".join(other.name for other in others)
    alt = "; ".join(f"{name}: F1 {final['f1'][c]:.0%}" for c, name in enumerate(run.classes))
    picture = Picture(
        save(class_figure([run, *others]), folder, "classes"),
        f"Recall and F1 of each class. {alt}",
        "Recall and F1 of each class, final epoch" + (f", beside {names}." if names else "."),
    )
    return Section(
        "scores", "Scores", [chance], [picture], [pooled_table(run, others), *parts_table(run), class_table(run)]
    )


def pooled_table(run: Run, others: Sequence[Run] = ()) -> Table:
    """Accuracy, macro-F1 and UAR of a run, of its baselines and of other runs."""
    summary = run.summary
    final = summary["final_epoch"]
    intervals = (" – ".join(f"{100 * value:.1f}" for value in final["interval_95"][metric]) for metric in METRICS)
    return Table(
        "scores",
        "Pooled scores",
        _HEADINGS,
        (
            Row(_cells("final epoch", final), "headline"),
            Row(("95 % interval (subjects drawn with replacement), %", *intervals)),
            Row(_cells("majority class", summary["majority_baseline"])),
            Row(
                _cells(
                    f"mean over {'subjects' if split_title(summary) == LOSO.title else 'folds'}",
                    summary["fold_average"],
                )
            ),
            *(Row(_cells(f"run {other.name}, final epoch", other.summary["final_epoch"])) for other in others),
            *(
                [
                    Row(
                        _cells("best epoch on the test clips: a leak, not a result", summary["oracle_best_epoch"]),
                        "leak",
                    )
                ][: summary.get("epochs") != 1]
            ),
        ),
    )


def parts_table(run: Run) -> list[Table]:
    """The scores of each data set of a composite, or of each tested part of a fixed split; none for a single one."""
    whole, *parts = part_rows(run.summary) or [()]
    rows = (Row(whole, "headline"), *map(Row, parts))
    caption = "Each data set or part by itself, final epoch; means over the classes that it shows"
    return [Table("by-dataset", caption, PART_HEADINGS, rows)] if parts else []


def class_table(run: Run) -> Table:
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


def class_figure(runs: Sequence[Run]) -> Any:
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
    return (name, *(f"{values[metric]:.1%}" for metric in METRICS))


def confusion_section(run: Run, others: Sequence[Run], folder: Path) -> Section:
    """The pooled matrix of the run, and those of other runs."""
    section = Section("confusion", "Confusion matrix")
    for number, each in enumerate([run, *others]):
        matrix = np.array(each.summary["final_epoch"]["confusion"])
        name = "confusion" if number == 0 else f"confusion-{each.name}"
        diagonal = ", ".join(f"{label} {matrix[c, c]} of {matrix[c].sum()}" for c, label in enumerate(each.classes))
        section.pictures.append(
            Picture(
                save(confusion_figure(matrix, each.classes, each.name), folder, name),
                f"Confusion matrix of {each.name}; correct: {diagonal}",
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
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
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
    axes.set_xticks(range(len(classes)), labels=classes)
    axes.set_yticks(range(len(classes)), labels=classes)
    axes.tick_params(axis="x", rotation=30)
    axes.set(xlabel="predicted class", ylabel="true class")
    return picture


def subjects_section(run: Run, folder: Path) -> Section:
    """A bar per subject and a table."""
    trained = {fold.name: str(fold.train_clips) for fold in run.folds}
    table = Table(
        "subjects",
        "Each subject",
        ("subject", "clips", "correct", "accuracy", "classes shown", "fold", "trained on"),
        tuple(
            Row(
                (
                    name,
                    str(len(clips)),
                    str(sum(p.correct for p in clips)),
                    f"{_share(clips):.0%}",
                    str(len({p.true for p in clips})),
                    clips[0].models[0],
                    trained[clips[0].models[0]],
                )
            )
            for name, clips in tested_subjects(run).items()
        ),
    )
    picture = Picture(
        save(subjects_figure(run), folder, "subjects"),
        "Accuracy of each subject; " + ", ".join(f"{row.cells[0]} {row.cells[3]}" for row in table.rows),
        "Accuracy of each tested subject; the width of a bar is the subject's number of clips.",
    )
    return Section("subjects", "Subjects", [], [picture], [table])


def tested_subjects(run: Run) -> dict[str, list[Prediction]]:
    """`dataset/subject` → the subject's tested clips, in natural order."""
    found: dict[str, list[Prediction]] = {}
    for prediction in sorted(run.predictions, key=lambda p: (p.key[0], natural_key(p.key[1]))):
        found.setdefault("/".join(prediction.key[:2]), []).append(prediction)
    return found


def subjects_figure(run: Run) -> Any:
    """Bars as wide as the subject's number of clips, so that area is what counts in the pooled score."""
    ordered = sorted(tested_subjects(run).items(), key=lambda pair: -_share(pair[1]))
    widths = np.array([len(clips) for _, clips in ordered], float)
    heights = [_share(clips) for _, clips in ordered]
    centres = np.cumsum(widths) - widths / 2
    made, axes = figure(9, 3.4)
    axes.bar(centres, heights, widths * 0.94, color=CYCLE[4], edgecolor="white")
    axes.axhline(run.summary["final_epoch"]["accuracy"], color=CYCLE[5], linewidth=1.2, label="pooled")
    axes.axhline(run.summary["majority_baseline"]["accuracy"], color="#666666", linestyle=":", label="majority class")
    names = [clips[0].key[1] for _, clips in ordered] if len(ordered) <= 70 else []  # more are not legible
    axes.set_xticks(centres[: len(names)], names, rotation=90 if len(names) > 12 else 0, fontsize=8)
    axes.set(ylabel="accuracy", ylim=(0, 1.05), xlabel="tested subject")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(fontsize=9, loc="upper right")
    return made


def _share(clips: Sequence[Prediction]) -> float:
    return sum(p.correct for p in clips) / len(clips)
