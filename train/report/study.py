"""The figure of a study of ours, from its table, so that the two agree."""

from typing import Any

import numpy as np

from train.report.figures import CYCLE, figure, narrow
from train.results.tables import Share, Table


def study_figure(table: Table) -> Any:
    """A panel for each data, a row for each model: seeds as dots, their mean as a bar, its interval as a line.

    The headings of `table` are those of a study of ours: data, row, runs, Acc, UF1, UAR, Acc of each in per cent.
    """
    names, labels = (list(dict.fromkeys(str(row.cells[place]) for row in table.rows)) for place in (0, 1))
    columns = min(len(names), 1 if narrow() else 3)
    rows = -(-len(names) // columns)
    height = rows * (0.22 * len(labels) + 0.35) + 0.6
    made, axes = figure(height, columns, rows, sharex=True, sharey=True, squeeze=False)
    panels = dict(zip(names, axes.flat, strict=False))
    for name, panel in panels.items():
        panel.set_title(name)
        panel.set_yticks(range(len(labels)), labels)
    for data, label, _, share, *_, each in (row.cells for row in table.rows):
        panel, place = panels[str(data)], labels.index(str(label))
        seeds = np.array([float(value) for value in str(each).split(",")])
        assert isinstance(share, Share) and share.interval is not None
        panel.barh(place, 100 * share.value, 0.6, color=CYCLE[4], alpha=0.6)
        panel.plot([100 * bound for bound in share.interval], [place, place], color="black", linewidth=0.9)
        panel.plot(seeds, place + 0.12 * (np.arange(len(seeds)) - (len(seeds) - 1) / 2), "o", color=CYCLE[0], ms=3)
    axes[0, 0].invert_yaxis()
    axes[0, 0].set(xlim=(0, 100), xticks=(0, 25, 50, 75))
    for panel in axes.flat[len(names) :]:
        panel.axis("off")
    text = "accuracy, %", "dots: seeds; bar: their mean; line: its interval over subjects"
    made.supxlabel(("\n" if narrow() else "; ").join(text), fontsize="medium")
    return made
