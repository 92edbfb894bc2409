"""What training came to: motion prompts over time, a map of the features (Fig. 9 of the paper), learning curves."""

from pathlib import Path
from typing import Any

import numpy as np

from data_cache.schema import StoredRecipe
from train.data.folds import subject_of
from train.report.page import CYCLE, MARKERS, Picture, Section, figure, save
from train.results.run_folder import Run


def kernels_section(run: Run, folder: Path) -> Section | None:
    """The kernels of all tested clips; None for a run without motion prompts."""
    if not all({"mu", "sigma"} <= set(fold.traces) for fold in run.folds):
        return None
    frames = StoredRecipe(run.config["caches"][0]["recipe"]).frames
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
        "motion; where the bands are narrow, they hardly differ between clips."
    )
    return Section("kernels", "Motion prompts over time", [text], [picture])


def kernels_figure(run: Run, frames: int) -> Any:
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


def features_section(run: Run, folder: Path) -> Section | None:
    """The map of all clips under one fold's model; None where the run stored no features."""
    overview = run.overview
    if not overview or len(overview["features"]) < 4:
        return None
    left_out = subject_of(run.config["subjects"][int(overview["fold"][0])]) if "fold" in overview else "one subject"
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


def features_figure(run: Run, overview: dict[str, np.ndarray]) -> Any:
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


def curves_section(run: Run, folder: Path) -> Section:
    """One figure, with what it must not be used for."""
    text = (
        "The headline is the last epoch. The test curve is shown to see whether training was long enough or too "
        "long; choosing an epoch by it would use test labels."
    )
    last, loss = run.summary["final_epoch"]["accuracy"], np.mean([fold.loss[-1] for fold in run.folds])
    picture = Picture(
        save(curves_figure(run), folder, "curves"),
        f"Training loss falls to {loss:.2f}; pooled test accuracy ends at {last:.0%}.",
        "Left: training loss, mean and range over folds. Right: accuracy on training clips (mean) and on test clips "
        "(pooled).",
    )
    return Section("curves", "Training", [text], [picture])


def curves_figure(run: Run) -> Any:
    """Loss with its range over folds; training and pooled test accuracy."""
    losses = np.array([fold.loss for fold in run.folds])  # (folds, epochs)
    training = np.array([fold.accuracy for fold in run.folds]).mean(0)
    correct = sum((fold.epoch_predictions == fold.true).sum(1) for fold in run.folds)
    epochs = np.arange(1, losses.shape[1] + 1)
    made, (left, other) = figure(9, 3.6, columns=2)
    left.fill_between(
        epochs, losses.min(0), losses.max(0), color=CYCLE[0], alpha=0.2, linewidth=0, label="range over folds"
    )
    left.plot(epochs, losses.mean(0), color=CYCLE[0], label="mean")
    left.set(xlabel="epoch", ylabel="training loss (cross-entropy)", ylim=(0, None))
    other.plot(epochs, training, color=CYCLE[0], label="training clips")
    other.plot(epochs, np.asarray(correct) / run.summary["clips"], color=CYCLE[5], label="test clips, pooled")
    other.axhline(
        run.summary["majority_baseline"]["accuracy"],
        color="#666666",
        linestyle=":",
        linewidth=1,
        label="majority class",
    )
    other.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
    other.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for axis in (left, other):
        axis.legend(fontsize=9)
        axis.xaxis.get_major_locator().set_params(integer=True)
    return made
