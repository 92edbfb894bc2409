"""t-SNE of what the head reads (Fig. 9 of the paper)."""

from pathlib import Path
from typing import Any

import numpy as np

from train.report.loaded import LoadedRun
from train.report.page import Picture, Section
from train.report.style import CYCLE, MARKERS, figure, save


def features_section(run: LoadedRun, folder: Path) -> Section | None:
    """The map of all clips under one fold's model; None where the run stored no features."""
    overview = run.overview
    if not overview or len(overview["features"]) < 4:
        return None
    left_out = run.folds[int(overview["fold"][0])].subject if "fold" in overview else "one subject"
    text = (
        f"Class-token features of all clips under the model that never saw {left_out}. Features of different folds "
        "come from different models and cannot share a map. Clusters of training clips say that training succeeded, "
        "not that new people are recognised: look at the filled marks."
    )
    picture = Picture(
        save(features_figure(run, overview), folder, "features"),
        f"t-SNE map of {len(overview['features'])} clips by class; {int(overview['test'].sum())} are test clips.",
        f"t-SNE (scikit-learn). Hollow: training clips. Filled, with a black rim: clips of {left_out}.",
    )
    return Section("features", "Features", [text], [picture])


def features_figure(run: LoadedRun, overview: dict[str, np.ndarray]) -> Any:
    """The map; classes differ in colour and in shape."""
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler

    features = StandardScaler().fit_transform(overview["features"].astype(np.float64))
    perplexity = min(30.0, (len(features) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features)
    made, axes = figure(7, 5.2)
    test = overview["test"].astype(bool)
    for number, name in enumerate(run.classes):
        colour, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
        of_class = overview["labels"] == number
        x, y = places[of_class & ~test].T
        axes.scatter(x, y, 26, marker=marker, facecolors="none", edgecolors=colour, linewidths=1.1, label=name)
        x, y = places[of_class & test].T
        axes.scatter(x, y, 60, marker=marker, color=colour, edgecolors="black", linewidths=0.9)
    axes.set(xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return made
