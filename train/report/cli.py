"""The command `mpt-report`: figures, tables and one HTML page from the folder of a run."""

from pathlib import Path
from typing import Annotated

import typer

from data_cache.commandline import make_app, run, version_option

app = make_app(
    "Make figures, tables and one self-contained HTML page from a finished run.\n\n"
    "[bold]Example[/bold]: mpt-report runs/casme2-mpt"
)


@app.command()
def report(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a finished run, such as runs/casme2-mpt.")
    ],
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=version_option, is_eager=True, help="Show the version."),
    ] = None,
) -> None:
    """Write RUN/report/index.html and its figures."""
    from train.report.build import build_report
    from train.runs import RunFolder

    page = build_report(RunFolder(run_folder))
    typer.echo(f"report: {page.resolve().as_uri()}")


def main() -> None:
    """Entry point."""
    run(app, "mpt-report")


if __name__ == "__main__":
    main()
