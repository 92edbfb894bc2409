"""The report of `mpt-preprocess check` for a person: one table of counts, then the anomalies by kind."""

from itertools import groupby
from typing import TYPE_CHECKING

from data_cache.errors import grouped
from data_cache.names import visible
from preprocess.check.anomalies import Report
from preprocess.datasets.base import Anomaly

if TYPE_CHECKING:
    from rich.table import Table


def print_report(report: Report) -> None:
    """Print the report to stdout."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{_shown(report.dataset)}[/bold] in {_shown(report.root)}")
    for line in report.layout:
        console.print(f"  {_shown(line)}")
    console.print(_counts(report), soft_wrap=False)
    whole = f" (full set: {report.expected_subjects} with clips of these classes)" if report.expected_subjects else ""
    console.print(f"{report.clips} clips of {len(report.subjects)} subjects{whole}")
    if report.corrections:
        console.print("\n[bold]corrected[/bold] (--no-corrections takes the annotation as delivered)")
        for line in report.corrections:
            console.print(f"  {_shown(line)}")
    for (expected, kind, action), anomalies in groupby(sorted(report.anomalies, key=_kind), key=_kind):
        console.print(f"\n[bold]{_shown(kind)}[/bold] → {_shown(action)}")
        mark = " " if expected else "[red]![/red]"
        for line in grouped((anomaly.key, anomaly.found) for anomaly in anomalies):
            console.print(f"{mark} {_shown(line)}")
    console.print(f"\nunexpected, marked !: {report.unexpected}" if report.unexpected else "\nOK: nothing unexpected")


def _shown(text: str) -> str:
    """Text of the data set's as it is: neither markup nor a command to the terminal."""
    from rich.markup import escape

    return escape(visible(text))


def _kind(anomaly: Anomaly) -> tuple[bool, str, str]:
    return not anomaly.unexpected, anomaly.kind, anomaly.action


def _counts(report: Report) -> "Table":
    """Subjects × classes, and below the sums and what the full set has."""
    from rich.table import Table

    table = Table(title=f"clips by protocol {_shown(report.protocol)}", title_justify="left")
    table.add_column("subject", min_width=max(map(len, report.subjects), default=0), overflow="fold")
    for name in (*report.classes, "all"):
        table.add_column(_shown(name), justify="right")
    for subject, counts in report.subjects.items():
        cells = [str(counts.get(name, "")) for name in report.classes]
        table.add_row(_shown(subject), *cells, str(sum(counts.values())))
    found = {name: counts["clips"] or 0 for name, counts in report.classes.items()}
    whole = {name: counts["full_set"] for name, counts in report.classes.items() if counts["full_set"] is not None}
    table.add_section()
    table.add_row("found", *map(str, found.values()), str(sum(found.values())), style="bold")
    if whole:
        cells = [str(whole[name]) if whole[name] == found[name] else f"[red]{whole[name]}[/red]" for name in whole]
        table.add_row("full set", *cells, str(sum(whole.values())))
    return table
