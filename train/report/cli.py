"""The command `mpt-report`: figures, tables and one HTML page from the folder of a run."""

from pathlib import Path
from typing import Annotated

import typer

from data_cache.commandline import make_app, run, version_option

app = make_app(
    "Make figures, tables and one self-contained HTML page from a finished run.\n\n"
    "[bold]Example[/bold]: mpt-report runs/casme2-mpt runs/casme2-head"
)


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folder of a run, and of others to compare it with.")
    ],
    cache: Annotated[
        list[Path] | None,
        typer.Option("--cache", help="Cache of the run, for pictures of clips.", show_default="where it was trained"),
    ] = None,
    images: Annotated[bool, typer.Option(help="Put pictures of clips (faces) into the report.")] = True,
    version: Annotated[
        bool | None, typer.Option("--version", callback=version_option, is_eager=True, help="Show the version.")
    ] = None,
) -> None:
    """Write RUN/report/index.html, its figures (PNG, PDF) and its tables (CSV, LaTeX)."""
    from train.report.build import build_report

    page = build_report(runs[0], runs[1:], cache or [], images)
    typer.echo(f"report: {page.resolve().as_uri()}")


def main() -> None:
    """Entry point."""
    run(app, "mpt-report")


if __name__ == "__main__":
    main()
