"""The figures of a report, for papers: exact widths, one size of text, embedded fonts, PDF and PNG.

Of single clips: what the model saw, where the evidence lay (Grad-CAM), and the probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from data_cache.explore.charts import Line
from data_cache.filters import recover
from data_cache.names import figure_fonts
from train.results.metrics import Prediction
from train.results.tables import Share, Table

if TYPE_CHECKING:  # torch, which a report without pictures does not need
    from train.data.task import ClipSet

CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Okabe and Ito's palette: told apart with any colour vision."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
Paper = Literal["column", "page"]
_INCHES = {"column": 3.5, "page": 7.16}  # widths of the IEEE's templates
_POINTS = 8
_RC = {
    **{f"{part}size": _POINTS for part in ("font.", "axes.title", "axes.label", "xtick.label", "ytick.label")},
    **{"legend.fontsize": _POINTS, "savefig.dpi": 200, "pdf.fonttype": 42, "axes.titleweight": "bold"},
    **{"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False},
    **{"axes.linewidth": 0.6, "lines.linewidth": 1.2, "figure.constrained_layout.use": True},
}


@contextmanager
def paper_style(paper: Paper = "page") -> Iterator[None]:
    """Draw the figures within for a column (3.5 in) or a page (7.16 in) of a paper."""
    from matplotlib import rc_context

    with figure_fonts(), rc_context({**_RC, "figure.figsize": (_INCHES[paper], 3)}):
        yield


def _width() -> float:
    from matplotlib import rcParams

    return float(rcParams["figure.figsize"][0])


def narrow() -> bool:
    """Whether figures are drawn for a column: fewer panels fit side by side."""
    return _width() == _INCHES["column"]


def figure(height: float, columns: int = 1, rows: int = 1, most: float = 99.0, **options: Any) -> tuple[Any, Any]:
    """A figure as wide as the paper or `most` inches, `height` inches high, and its axes; drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(min(_width(), most), height))
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, **options)


def save(made: Any, folder: Path, name: str) -> str:
    """Write a figure as PDF and PNG into `folder`; `name` again."""
    folder.mkdir(parents=True, exist_ok=True)
    made.draw_without_rendering()
    made.set_layout_engine("none")  # arranged once, not again for each format
    made.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    made.savefig(folder / f"{name}.png")
    return name


def panels_figure(titles: Sequence[str], most: int, height: float, more: float) -> tuple[Any, dict[str, Any]]:
    """A figure with a panel for each title, at most `most` beside each other, all of the same scales.

    A row of panels is `height` inches high; `more` inches stand above and below them.
    """
    columns = min(len(titles), most)
    rows = -(-len(titles) // columns)
    made, axes = figure(rows * height + more, columns, rows, sharex=True, sharey=True, squeeze=False)
    panels = dict(zip(titles, axes.flat, strict=False))
    for title, panel in panels.items():
        panel.set_title(title)
    for panel in axes.flat[len(titles) :]:
        panel.axis("off")
    return made, panels


def draw_lines(axes: Any, lines: Sequence[Line], first: int = 0) -> None:
    """Draw curves over `first`, `first` + 1, …, each with its range if it has one."""
    for number, line in enumerate(lines):
        places, colour = np.arange(first, first + len(line.values)), CYCLE[number % len(CYCLE)]
        if line.low is not None:
            axes.fill_between(places, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(places, line.values, color=colour, label=line.name)


def study_figure(table: Table) -> Any:
    """A panel for each data, a row for each model: seeds as dots, their mean as a bar, its interval as a line.

    The headings of `table` are those of a study of ours: data, row, runs, Acc, UF1, UAR, Acc of each in per cent.
    """
    names, labels = (list(dict.fromkeys(str(row.cells[place]) for row in table.rows)) for place in (0, 1))
    made, panels = panels_figure(names, 1 if narrow() else 3, 0.22 * len(labels) + 0.35, 0.6)
    for panel in panels.values():
        panel.set_yticks(range(len(labels)), labels)
    for data, label, _, share, *_, each in (row.cells for row in table.rows):
        panel, place = panels[str(data)], labels.index(str(label))
        seeds = np.array([float(value) for value in str(each).split(",")])
        assert isinstance(share, Share) and share.interval is not None
        panel.barh(place, 100 * share.value, 0.6, color=CYCLE[4], alpha=0.6)
        panel.plot([100 * bound for bound in share.interval], [place, place], color="black", linewidth=0.9)
        panel.plot(seeds, place + 0.12 * (np.arange(len(seeds)) - (len(seeds) - 1) / 2), "o", color=CYCLE[0], ms=3)
    first = panels[names[0]]
    first.invert_yaxis()
    first.set(xlim=(0, 100), xticks=(0, 25, 50, 75))
    text = "accuracy, %", "dots: seeds; bar: their mean; line: its interval over subjects"
    made.supxlabel(("\n" if narrow() else "; ").join(text), fontsize="medium")
    return made


class Panel(NamedTuple):
    """A picture of a clip, (S, S[, 3]) uint8, a map of any size to lay over it, and what is written below."""

    image: np.ndarray
    heat: np.ndarray | None = None
    note: str = ""


def pictures_of(
    clips: ClipSet, predictions: Sequence[Prediction], maps: Sequence[Mapping[str, np.ndarray]]
) -> list[dict[str, Panel]]:
    """Title → panel, from left to right, of each predicted clip; titles that not all clips have are left out.

    `maps` are Grad-CAM maps, each (rows, columns): `image` over the dynamic image, `motion` over the middle frame.
    """
    made = []
    for prediction, heat in zip(predictions, maps, strict=True):
        clip = clips.keys.index(prediction.key)
        reader, row = clips.rows[clip]
        motion, onset = clips.read("motion", clip), clips.onset_frame(clip)
        n_frames, fps = int(reader.clips.n_frames[row]), float(reader.clips.fps[row])
        found = recover(motion, onset, reader.attributes.recipe, n_frames, fps)
        image, middle = clips.read("dynamic_image", clip), motion[len(motion) // 2]
        panels = {} if onset is None else {"onset": Panel(onset)}
        panels |= {"dynamic image": Panel(image), "for the network": Panel(middle)}
        if found.eye is not None:
            panels["for the eye"] = Panel(found.eye[len(found.eye) // 2], note=f"α = {found.eye_alpha:g}")
        under = (("image", image), ("motion", middle))
        made.append(panels | {f"Grad-CAM: {name}": Panel(each, heat[name]) for name, each in under if name in heat})
    return [{title: panel for title, panel in each.items() if all(title in other for other in made)} for each in made]


def clips_figure(
    predictions: Sequence[Prediction], pictures: Sequence[Mapping[str, Panel]], classes: Sequence[str]
) -> Any:
    """A row per clip: onset, dynamic image, the middle frame for network and eye, Grad-CAM maps, probabilities."""
    titles, rows = [*pictures[0], "probability"], len(predictions)
    widths = [*(1.0 for _ in pictures[0]), 1.2]
    made, axes = figure(
        max(0.85, 0.13 * len(classes)) * rows + 0.5, len(widths), rows, squeeze=False, width_ratios=widths
    )
    for row, prediction, picture in zip(axes, predictions, pictures, strict=True):
        for axis, panel in zip(row, picture.values(), strict=False):
            _draw_panel(axis, panel)
        _draw_probabilities(row[-1], prediction, classes)
        verdict = [] if prediction.true is None else ["correct" if prediction.correct else "wrong"]
        words = "\n".join([*prediction.key[1:], *verdict])
        row[0].text(-0.08, 0.5, words, transform=row[0].transAxes, ha="right", va="center")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title.replace(": ", "\n").replace(" ", "\n"), fontweight="normal")
    axes[-1, -1].set_xticks([0, 1])
    return made


def _draw_panel(axis: Any, panel: Panel) -> None:
    axis.imshow(panel.image, cmap="gray", vmin=0, vmax=255)
    axis.text(0.5, -0.02, panel.note, transform=axis.transAxes, ha="center", va="top")
    if panel.heat is not None:
        size = panel.image.shape[0]
        scaled = panel.heat / max(float(panel.heat.max()), 1e-12)
        axis.imshow(scaled, cmap="inferno", alpha=0.55, extent=(0, size, size, 0), interpolation="bilinear")
        axis.set(xlim=(0, size), ylim=(size, 0))
    axis.axis("off")


def _draw_probabilities(axis: Any, prediction: Prediction, classes: Sequence[str]) -> None:
    """A bar per class; the predicted one is green if it is correct, red if not, and the true one is marked."""
    colours = ["#BBBBBB"] * len(classes)
    colours[prediction.predicted] = CYCLE[0 if prediction.true is None else 2 if prediction.correct else 5]
    labels = [f"{name} (true)" if number == prediction.true else name for number, name in enumerate(classes)]
    axis.barh(labels, prediction.probabilities, color=colours)
    axis.set(xlim=(0, 1), xticks=[])
    axis.invert_yaxis()
