"""What training came to: motion prompts over time, a map of the features (Fig. 9 of the paper), learning curves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.explore.charts import Line, Point, lines, open_clip, scatter
from data_cache.explore.page import Chart, Section
from data_cache.schema import StoredRecipe
from train.data.folds import subject_of
from train.report.figures import CYCLE, MARKERS, draw_lines, figure, narrow, panels_figure, save
from train.results.run_folder import Run


def kernels_section(run: Run, folder: Path) -> Section | None:
    """The kernels of all tested clips; None for a run without motion prompts."""
    if not all({"mu", "sigma"} <= set(fold.traces) for fold in run.folds):
        return None
    curves = _kernels(run, StoredRecipe(run.config["caches"][0]["recipe"]).frames)
    made, panels = panels_figure(list(curves), 2 if narrow() else 3, 1.7, 0.4)
    for title, panel in panels.items():
        draw_lines(panel, curves[title])
        panel.set_ylim(0, None)
    made.supxlabel("frame (onset 0, offset last)", fontsize="medium")
    made.supylabel("weight", fontsize="medium")
    made.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=3 if narrow() else 7)
    text = (
        "Each curve is one prompt's Gaussian over the frames (eq. 11): mean over the tested clips of a class, with the "
        "range from the 10th to the 90th percentile of clips. The kernels start evenly spread over the clip. They are "
        "made for each clip from its own motion; where the bands are narrow, they hardly differ between clips."
    )
    name = save(made, folder, "kernels")
    charts = [Chart(lines(each, "frame", "weight"), f"{title}.", name) for title, each in curves.items()]
    return Section("kernels", "Motion prompts over time", [text], charts)


def _kernels(run: Run, frames: int) -> dict[str, list[Line]]:
    """Per class, the mean of each prompt's kernel over its clips and where most clips lie; (T,) each."""
    from scipy.special import softmax

    true = np.concatenate([fold.true for fold in run.folds])
    mu, sigma = (np.concatenate([fold.traces[name] for fold in run.folds]) for name in ("mu", "sigma"))
    weights = softmax(-0.5 * ((np.arange(frames) - mu[..., None]) / sigma[..., None]) ** 2, -1)  # (clips, m, T)
    found = {}
    for number, name in enumerate(run.classes):
        if len(chosen := weights[true == number]):
            low, high = np.percentile(chosen, [10, 90], axis=0)
            found[f"{name} ({len(chosen)} clips)"] = [
                Line(f"prompt {k + 1}", mean, low[k], high[k]) for k, mean in enumerate(chosen.mean(0))
            ]
    return found


def features_section(run: Run, folder: Path, keys: Sequence[str]) -> Section | None:
    """The map of all clips under one fold's model; None where the run stored no features.

    `keys` are subject/clip of the clips in the order of the features; without them, points lead nowhere.
    """
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler

    overview = run.overview
    if not overview or len(overview["features"]) < 4:
        return None
    left_out = subject_of(run.config["subjects"][int(overview["fold"][0])]) if "fold" in overview else "one subject"
    text = (
        f"Class-token features of all clips under the model that never saw {left_out}. Features of different folds "
        "come from different models and cannot share a map. Clusters of training clips say that training succeeded, "
        "not that new people are recognised: look at the filled marks."
    )
    features = StandardScaler().fit_transform(overview["features"].astype(np.float64))
    mapped = TSNE(perplexity=min(30.0, (len(features) - 1) / 3), init="pca", random_state=0)
    places = np.asarray(mapped.fit_transform(features))
    test, known, points = overview["test"].astype(bool), len(keys) == len(features), []
    for i, ((x, y), label) in enumerate(zip(places.tolist(), overview["labels"], strict=True)):
        name, action = (keys[i], open_clip(keys[i])) if known else (run.classes[label], "")
        points.append(Point(x, y, name, int(label), bool(test[i]), action))
    caption = f"t-SNE (scikit-learn), no units. Hollow: training clips. Filled: clips of {left_out}."
    name = save(features_figure(run, places), folder, "features")
    return Section("features", "Features", [text], [Chart(scatter(points, run.classes), caption, name)])


def features_figure(run: Run, places: np.ndarray) -> Any:
    """The map, (clips, 2); classes differ in colour and in shape."""
    made, axes = figure(3.4)
    test = run.overview["test"].astype(bool)
    for number, name in enumerate(run.classes):
        colour, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
        of_class = run.overview["labels"] == number
        x, y = places[of_class & ~test].T
        axes.scatter(x, y, 14, marker=marker, facecolors="none", edgecolors=colour, linewidths=0.8, label=name)
        x, y = places[of_class & test].T
        axes.scatter(x, y, 30, marker=marker, color=colour, edgecolors="black", linewidths=0.7)
    axes.set(xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    made.legend(loc="outside upper center", ncols=3 if narrow() else 7)
    return made


def curves_section(run: Run, folder: Path) -> Section | None:
    """Two charts, with what they must not be used for; None for a single epoch, as of a probe."""
    if len(run.folds[0].loss) == 1:
        return None
    text = (
        "The headline is the last epoch. The test curve is shown to see whether training was long enough or too "
        "long; choosing an epoch by it would use test labels."
    )
    losses = np.array([fold.loss for fold in run.folds])  # (folds, epochs)
    correct = np.asarray(sum((fold.epoch_predictions == fold.true).sum(1) for fold in run.folds))
    loss = Line("mean and range over folds", losses.mean(0), losses.min(0), losses.max(0))
    accuracy = [
        Line("training clips", np.array([fold.accuracy for fold in run.folds]).mean(0)),
        Line("test clips, pooled", correct / run.summary["clips"]),
    ]
    made, (left, other) = figure(4.2 if narrow() else 2.4, columns=2 - narrow(), rows=1 + narrow())
    draw_lines(left, [loss], 1)
    left.set(xlabel="epoch", ylabel="training loss (cross-entropy)", ylim=(0, None))
    draw_lines(other, accuracy, 1)
    majority = run.summary["majority_baseline"]["accuracy"]
    other.axhline(majority, color="#666666", linestyle=":", linewidth=1, label="majority class")
    other.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
    other.yaxis.set_major_formatter("{x:.0%}")
    for axis in (left, other):
        axis.legend()
        axis.xaxis.get_major_locator().set_params(integer=True)
    name = save(made, folder, "curves")
    charts = [
        Chart(lines([loss], "epoch", "training loss", first=1), "Training loss: mean and range over folds.", name),
        Chart(
            lines(accuracy, "epoch", "accuracy", first=1, percent=True),
            "Accuracy on training clips (mean over folds) and on test clips (pooled).",
            name,
        ),
    ]
    return Section("curves", "Training", [text], charts)
