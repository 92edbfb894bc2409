"""Put the report of a run together."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from train.report.confusion import confusion_figure
from train.report.page import Page, Picture, Row, Section, Table
from train.report.style import save
from train.runs import RunFolder

METRICS = (("accuracy", "Acc"), ("macro_f1", "macro-F1"), ("uar", "UAR"))


def build_report(run: RunFolder) -> Path:
    """Write `report/index.html` and its figures into the run's folder; the path of the page.

    Raises:
        UsageError: this is no run folder, or the run is not finished.
        InvalidFile: a file of the run is damaged.
    """
    config, summary = run.config, run.summary
    folder = run.path / "report"
    final = summary["final_epoch"]
    notices = sorted({cache["licence_notice"] for cache in config["caches"]})
    if config["settings"]["random_weights"]:
        notices.insert(
            0, "Trained on a backbone with RANDOM weights: these scores say nothing about a pretrained model."
        )
    page = Page(
        title=f"{run.path.name}: leave-one-subject-out report",
        lead=(
            f"{final['accuracy']:.1%} accuracy over {summary['clips']} clips of {summary['subjects']} subjects, "
            f"{len(summary['classes'])} classes, protocol {config['protocol']}. Always answering with the most "
            f"frequent class gives {summary['majority_baseline']['accuracy']:.1%}."
        ),
        notices=notices,
        sections=[_scores(summary), _confusion(summary, folder), _settings(config, run.environment)],
    )
    page.write(folder / "index.html")
    return folder / "index.html"


def _scores(summary: dict[str, Any]) -> Section:
    final = summary["final_epoch"]

    def cells(name: str, values: dict[str, Any]) -> tuple[str, ...]:
        return (name, *(f"{values[metric]:.1%}" for metric, _ in METRICS))

    intervals = (" – ".join(f"{100 * value:.1f}" for value in final["interval_95"][metric]) for metric, _ in METRICS)
    pooled = Table(
        "Pooled scores",
        ("", *(label for _, label in METRICS)),
        (
            Row(cells("final epoch", final), "headline"),
            Row(("95 % interval (subjects drawn with replacement), %", *intervals)),
            Row(cells("always the most frequent class", summary["majority_baseline"])),
            Row(cells("mean over subjects", summary["fold_average"])),
            Row(
                cells("best epoch on the test subject: a leak, not a result", summary["oracle_best_epoch"]),
                "leak",
            ),
        ),
    )
    per_class = Table(
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
            for c, name in enumerate(summary["classes"])
        ),
    )
    chance = (
        f"With labels shuffled within each subject the same predictions score {final['permutation_accuracy']:.1%} "
        f"on average; the probability of doing as well by chance is p = {final['permutation_p']:.4f}."
    )
    return Section("scores", "Scores", texts=[chance], tables=[pooled, per_class])


def _confusion(summary: dict[str, Any], folder: Path) -> Section:
    matrix = np.array(summary["final_epoch"]["confusion"])
    classes = summary["classes"]
    source = save(confusion_figure(matrix, classes, "Pooled over all subjects"), folder, "confusion")
    diagonal = ", ".join(f"{name} {matrix[c, c]} of {matrix[c].sum()}" for c, name in enumerate(classes))
    picture = Picture(
        source,
        f"Confusion matrix; right: {diagonal}",
        "Rows are true classes; shares (and counts) sum to each row.",
    )
    return Section("confusion", "Confusion matrix", pictures=[picture])


def _settings(config: dict[str, Any], environment: dict[str, Any]) -> Section:
    caches = [f"{cache['dataset']}: content {cache['content_digest']}" for cache in config["caches"]]
    blocks = [json.dumps(part, indent=2) for part in (config["settings"], environment)]
    return Section("settings", "Settings and environment", texts=caches, blocks=blocks)
