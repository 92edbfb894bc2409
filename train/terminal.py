"""What the training commands print on stdout: tables for people, JSON for programs."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from data_cache.console.commandline import print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from train.results.tables import Table

_STYLES = {"headline": "bold", "leak": "dim", "": ""}


def _console() -> "Console":
    """What prints tables; a name with brackets in it is no markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False)


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]] = (), **style: Any) -> "RichTable":
    """Only a column without a heading is no column of numbers."""
    from rich.table import Table as RichTable

    table = RichTable(title=title, **style)
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table


def print_seeds(summaries: list[dict[str, Any]], paths: list[Path], path: Path, json_output: bool) -> None:
    """Mean and standard deviation over the seeds; also written beside the runs."""
    from data_cache.files.atomic import write_json
    from train.results.metrics import METRICS
    from train.results.summary import combine_seeds

    combined = combine_seeds(summaries, [place.name for place in paths])
    write_json(path.with_name(f"{path.name}-seeds.json"), combined)
    if json_output:
        print_json(combined)
        return
    scores = ", ".join(f"{metric} {combined[metric]['mean']:.1%} ± {combined[metric]['sd']:.1%}" for metric in METRICS)
    typer.echo(f"{len(summaries)} seeds (mean ± standard deviation): {scores}")


def print_study(table: "Table", missing: list[str]) -> None:
    """The table of a study, and what is missing in it; where it would be too wide, without intervals."""
    from train.results.tables import Share

    console, rows = _console(), [row.cells for row in table.rows]
    drawn = _table(table.caption, table.headings, rows)
    if console.measure(drawn, options=console.options.update(width=1000)).minimum > console.width:
        bare = [[Share(cell.value) if isinstance(cell, Share) else cell for cell in row] for row in rows]
        drawn = _table(f"{table.caption} (intervals are in the file)", table.headings, bare)
    console.print(drawn)
    for line in missing:
        typer.echo(f"missing: {line}")


def print_predictions(result: dict[str, Any], folder: Path) -> None:
    """The probabilities of each new clip."""
    models = result["models"]
    used = models[0] if len(models) == 1 else f"mean of {len(models)} models"
    table = _table(f"{result['run']}: {used}", (), box=None)  # lines between columns would cut words of the names
    table.add_column("clip", no_wrap=True)
    table.add_column("prediction", style="bold", no_wrap=True)
    for name in result["classes"]:
        table.add_column(name, justify="right", overflow="fold")
    for clip in result["clips"]:
        shares = (f"{clip['probabilities'][name]:.1%}" for name in result["classes"])
        table.add_row(f"{clip['subject']}/{clip['clip']}", clip["predicted"], *shares)
    console = _console()
    console.print(table)
    console.print(f"written: {folder}")


def print_pairs(pairs: list[tuple[str, str]]) -> None:
    """A result for people."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        typer.echo(f"{name:<{width}}  {value}")


def print_summary(summary: dict[str, Any], folder: Path) -> None:
    """The table at the end of a run."""
    from train.results.metrics import METRICS
    from train.results.summary import interval_name, parts_table, permutation_lines, score_rows, split_title

    title = f"{summary['clips']} clips, {summary['subjects']} subjects, {split_title(summary)}"
    table = _table(title, ("", "Acc", "macro-F1", "UAR"))
    for name, scores, kind in score_rows(summary):
        table.add_row(name, *(f"{scores[m]:.1%}" for m in METRICS), style=_STYLES[kind])
        if kind == "headline":
            intervals = ("–".join(f"{100 * v:.1f}" for v in scores["interval_95"][m]) for m in METRICS)
            table.add_row(interval_name(summary["subjects"]), *intervals)
    parts = (_table("by data set", each.headings, [row.cells for row in each.rows]) for each in parts_table(summary))
    _console().print(table, *parts, *permutation_lines(summary), sep="\n")
    typer.echo(f"run: {folder}    report: mpt-report {folder}")
