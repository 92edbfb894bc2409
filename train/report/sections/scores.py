"""The scores of a run, beside other runs if there are any: pooled, by class, by subject, and as confusion matrices."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.digest import changes
from data_cache.errors import UsageError
from data_cache.explore.charts import Bar, bars, matrix, where
from data_cache.explore.page import Chart, Section
from data_cache.names import natural_key
from train.data.folds import LOSO
from train.report.compare import compare_runs
from train.report.figures import CYCLE, figure, narrow, save
from train.results.metrics import METRICS, Prediction, confusion_matrix, of_part
from train.results.run_folder import Run
from train.results.summary import fold_average, interval_name, parts_table, permutation_lines, score_rows, split_title
from train.results.tables import Row, Share, Table

_HEADINGS = ("", "Acc", "UF1", "UAR")


def scores_section(run: Run, others: Sequence[Run], folder: Path) -> Section:
    """Pooled scores with intervals, baseline and the labelled leak; other runs beside it; scores per class."""
    texts = [". ".join([*permutation_lines(run.summary), "Intervals: subjects drawn with replacement."])]
    tables = [pooled_table(run), *parts_table(run.summary), class_table(run)]
    if others:
        tables.insert(1, runs_table([run, *others]))
    blocks: list[str] = []
    if len(others) == 1:
        try:
            lines, table = _comparison(run, others[0])
            blocks = ["\n".join(lines)]
            tables.insert(2, table)
        except UsageError as error:
            texts.append(f"The two runs cannot be compared clip by clip: {error}.")
    return Section("scores", "Scores", texts, class_charts([run, *others], folder), tables, blocks)


def pooled_table(run: Run) -> Table:
    """Accuracy, macro-F1 and UAR of a run and of its baselines."""
    units = "subjects" if split_title(run.summary) == LOSO.title else "folds"
    average = fold_average(run.folds), ""
    named = [*score_rows(run.summary), (f"mean over {units}, over the classes that each shows", *average)]
    rows = tuple(Row(_cells(name, scores), kind) for name, scores, kind in named)
    return Table("scores", f"Pooled scores, {interval_name(run.summary['subjects'])}", _HEADINGS, rows)


def runs_table(runs: Sequence[Run]) -> Table:
    """The final epochs of several runs, and the settings in which they differ from the first."""
    rows = []
    for run in runs:
        differing = changes(runs[0].config["settings"], run.config["settings"])
        cells = _cells(run.name, run.summary["final_epoch"])
        rows.append(Row((*cells, "; ".join(differing) or "–"), "headline" if run is runs[0] else ""))
    caption = f"Runs, final epoch, {interval_name(runs[0].summary['subjects'])}"
    return Table("runs", caption, (*_HEADINGS, f"settings, {runs[0].name} → this"), tuple(rows))


def _comparison(a: Run, b: Run) -> tuple[list[str], Table]:
    found = compare_runs([a], [b])
    both = sum(p.correct for p in a.predictions) - found.only_a
    counts = {
        f"only {a.name} correct": found.only_a,
        f"only {b.name} correct": found.only_b,
        "both correct": both,
        "both wrong": found.clips - both - found.only_a - found.only_b,
    }
    rows = tuple(Row((name, count)) for name, count in counts.items())
    caption = "Clip by clip; the filter “Prediction” above lists where one run alone is correct"
    return found.lines, Table("comparison", caption, ("", "clips"), rows)


def class_table(run: Run) -> Table:
    """Precision, recall and F1 of each class."""
    final = run.summary["final_epoch"]
    rows = tuple(
        Row((name, final["support"][c], *(Share(final[metric][c]) for metric in ("precision", "recall", "f1"))))
        for c, name in enumerate(run.classes)
    )
    return Table("classes", "Each class, final epoch", ("class", "clips", "precision", "recall", "F1"), rows)


def class_charts(runs: Sequence[Run], folder: Path) -> list[Chart]:
    """Bars of recall and F1 per class, one colour per run; the figure `classes` has both."""
    classes, names, charts = runs[0].classes, [run.name for run in runs], []
    made, axes = figure(3.6, rows=2)
    width, places = 0.8 / len(runs), np.arange(len(classes))
    for axis, metric, label in zip(axes, ("recall", "f1"), ("Recall", "F1"), strict=True):
        values = np.array([[run.summary["final_epoch"][metric][run.classes.index(c)] for run in runs] for c in classes])
        texts = [[f"{value:.0%}" for value in row] for row in values]
        rows = [Bar(c, row, text, where(label=c)) for c, row, text in zip(classes, values, texts, strict=True)]
        charts.append(Chart(bars(rows, names), f"{label} of each class, final epoch.", "classes"))
        for number, name in enumerate(names):
            left = places + (number - (len(runs) - 1) / 2) * width
            drawn = axis.bar(left, values[:, number], width * 0.95, color=CYCLE[number % len(CYCLE)], label=name)
            if values.size * (1 + narrow()) <= 16:  # more numbers would overlap
                axis.bar_label(drawn, [text[number] for text in texts], padding=1)
        axis.axhline(1 / len(classes), color="#666666", linewidth=0.8, linestyle=":")
        axis.set_xticks(places, classes, rotation=30 * (narrow() and len(classes) > 3))
        axis.set(ylabel=label, ylim=(0, 1.12))
        axis.yaxis.set_major_formatter("{x:.0%}")
    if len(runs) > 1:
        made.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(runs))
    axes[1].set_xlabel("class; dotted: 1 / number of classes")
    save(made, folder, "classes")
    return charts


def _cells(name: str, values: Mapping[str, Any]) -> tuple[str | Share, ...]:
    intervals = values.get("interval_95", {})
    return (name, *(Share(values[metric], intervals.get(metric)) for metric in METRICS))


def confusion_section(run: Run, others: Sequence[Run], folder: Path) -> Section:
    """The pooled matrix of the run, and those of other runs."""
    charts = []
    for each in (run, *others):
        counts = np.array(each.summary["final_epoch"]["confusion"])
        name = "confusion" if each is run else f"confusion-{each.name}"
        save(confusion_figure(counts, each.classes, each.name), folder, name)
        more = " A click on a cell lists its clips." if each is run else ""
        html = matrix(counts, each.classes, lambda true, predicted: where(label=true, predicted=predicted))
        charts.append(Chart(html, f"{each.name}: rows are true classes; shares of the row, and counts.{more}", name))
    return Section("confusion", "Confusion matrix", [], charts)


def confusion_figure(counts: np.ndarray, classes: Sequence[str], title: str) -> Any:
    """A matrix of counts (rows true, columns predicted) as a figure; colour and percentages are row shares."""
    made, axes = figure(min(0.9 + 0.45 * len(classes), 5.5), most=1.7 + 0.5 * len(classes))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0)
    for row, column in np.ndindex(counts.shape):
        words = f"{shares[row, column]:.0%}\n({counts[row, column]})"
        colour = "white" if shares[row, column] > 0.6 * shares.max() else "black"
        axes.text(column, row, words, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), labels=classes)
    axes.set_yticks(range(len(classes)), labels=classes)
    axes.tick_params(axis="x", rotation=30)
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    made.colorbar(picture, ax=axes, label="share of the true class", fraction=0.046, format="{x:.0%}")
    return made


def subjects_section(run: Run, folder: Path) -> Section:
    """A bar per subject and a table; in the figure bars are as wide as what they weigh in the pooled score."""
    subjects: dict[str, list[Prediction]] = {}  # in natural order
    for prediction in sorted(run.predictions, key=lambda p: (p.key[0], natural_key(p.key[1]))):
        subjects.setdefault("/".join(prediction.key[:2]), []).append(prediction)
    trained = {fold.name: fold.train_clips for fold in run.folds}
    rows, shown, found = [], [], []
    for key, clips in subjects.items():
        each = of_part(confusion_matrix([p.true or 0 for p in clips], [p.predicted for p in clips], len(run.classes)))
        correct, shown_classes, fold = sum(p.correct for p in clips), len({p.true for p in clips}), clips[0].models[0]
        shares = (Share(each[metric]) for metric in METRICS)
        rows.append(Row((key, len(clips), correct, *shares, shown_classes, fold, trained[fold])))
        name, accuracy = clips[0].key[1], each["accuracy"]
        shown.append(Bar(name, [accuracy], [f"{accuracy:.0%} of {len(clips)}"], where(subject=name)))
        found.append((accuracy, len(clips), name))
    text = "Accuracy of each tested subject. In the figure the width of a bar is the subject's number of clips."
    chart = Chart(bars(shown), text, save(subjects_figure(run, found), folder, "subjects"))
    headings = ("subject", "clips", "correct", "Acc", "UF1", "UAR", "classes shown", "fold", "trained on")
    caption = "Each subject; UF1 and UAR over the classes that it shows"
    return Section("subjects", "Subjects", [], [chart], [Table("subjects", caption, headings, tuple(rows))])


def subjects_figure(run: Run, subjects: Sequence[tuple[float, int, str]]) -> Any:
    """Bars of the accuracy of subjects, from the best to the worst, as wide as their number of clips."""
    heights, clips, names = zip(*sorted(subjects, key=lambda each: -each[0]), strict=True)
    made, axes = figure(2.4)
    centres = np.cumsum(clips) - np.array(clips) / 2
    axes.bar(centres, heights, np.array(clips) * 0.94, color=CYCLE[4], edgecolor="white")
    axes.axhline(run.summary["final_epoch"]["accuracy"], color=CYCLE[5], label="pooled")
    axes.axhline(run.summary["majority_baseline"]["accuracy"], color="#666666", linestyle=":", label="majority class")
    if len(names) > 70:  # more are not legible
        names = ()
    axes.set_xticks(centres[: len(names)], names, rotation=90 if len(names) * (1 + narrow()) > 10 else 0)
    axes.set(ylabel="accuracy", ylim=(0, 1.05), xlabel="tested subject")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(loc="upper right")
    return made
