"""Training curves: loss and accuracy of every epoch, and the test accuracy that nobody may choose an epoch by."""

from pathlib import Path
from typing import Any

import numpy as np

from train.report.loaded import LoadedRun
from train.report.page import Picture, Section
from train.report.style import CYCLE, figure, save


def curves_section(run: LoadedRun, folder: Path) -> Section:
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


def curves_figure(run: LoadedRun) -> Any:
    """Loss with its range over folds; training and pooled test accuracy."""
    losses = np.array([fold.loss for fold in run.folds])  # (folds, epochs)
    training = np.array([fold.accuracy for fold in run.folds]).mean(0)
    right = sum((fold.epoch_predictions == fold.true).sum(1) for fold in run.folds)
    epochs = np.arange(1, losses.shape[1] + 1)
    made, (left, other) = figure(9, 3.6, columns=2)
    left.fill_between(
        epochs, losses.min(0), losses.max(0), color=CYCLE[0], alpha=0.2, linewidth=0, label="range over folds"
    )
    left.plot(epochs, losses.mean(0), color=CYCLE[0], label="mean")
    left.set(xlabel="epoch", ylabel="training loss (cross-entropy)", ylim=(0, None))
    other.plot(epochs, training, color=CYCLE[0], label="training clips")
    other.plot(epochs, np.asarray(right) / run.summary["clips"], color=CYCLE[5], label="test clips, pooled")
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
