"""The command `mpt-compare`."""

from pathlib import Path
from typing import Annotated

import typer

from data_cache.console.commandline import Version, example, make_app, run

app = make_app(
    "Compare two finished runs clip by clip: McNemar's exact test, and an interval of the difference.\n\n"
    + example("mpt-compare runs/casme2-mpt runs/casme2-head")
)


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a finished run.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another, on the same clips.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    version: Version = None,
) -> None:
    """Is RUN_A better than RUN_B, or just luckier?"""
    from train.report.compare import METRICS, compare_runs
    from train.report.loaded import load_run

    result = compare_runs(load_run(run_a), load_run(run_b))
    if json_output:
        import json

        typer.echo(json.dumps(result.as_json(), indent=2))
        return
    a, b = result.runs
    typer.echo(f"{result.clips} clips; {a} alone is right on {result.only_a}, {b} alone on {result.only_b}")
    typer.echo(f"McNemar's exact test: p = {result.p_value:.4f}")
    for metric in METRICS:
        low, high = result.interval_95[metric]
        interval = f"(95 % interval over subjects {low:+.1%} to {high:+.1%})"
        typer.echo(f"{metric:<9} {a} − {b}: {result.difference[metric]:+.1%} {interval}")


def main() -> None:
    """Entry point."""
    run(app, "mpt-compare")


if __name__ == "__main__":
    main()
