"""The command `mpt-report`: figures, tables and one HTML page from the folder of a run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from data_cache.console.commandline import Version, example, make_app, run
from data_cache.console.help import Also
from data_cache.errors import UsageError

app = make_app(
    "Make a page to explore, figures and tables from a finished run.\n\n"
    + example("mpt-report runs/casme2-mpt runs/casme2-head")
)


@app.command()
def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]...", help="Folder of a run, and of others to compare it with."),
        Also("--run"),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Print a study's table instead, and draw a figure of ours.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="With --study: the study's --name in mpt-train.", show_default="all, or the only one"),
    ] = None,
    cache: Annotated[
        list[str] | None,
        typer.Option(
            "--cache",
            metavar="CACHE",
            help="Cache of the run, a path or a URL, for pictures of clips.",
            show_default="where it was trained",
        ),
    ] = None,
    images: Annotated[bool, typer.Option(help="Put pictures of clips (faces) into the report.")] = True,
    single_file: Annotated[
        bool, typer.Option("--single-file", help="The page in one file, pictures at half the size; at most 25 MB.")
    ] = False,
    paper: Annotated[
        Literal["column", "page"], typer.Option(help="Width of the figures: 3.5 or 7.16 inches; text of 8 pt.")
    ] = "page",
    version: Version = None,
) -> None:
    """Write RUN/report/index.html, a page to explore; figures (PNG, PDF), tables (CSV, LaTeX), methods and BibTeX."""
    if study is not None:
        from train.paper.studies import find_study, study_table
        from train.report.figures import paper_style, save, study_figure
        from train.results.run_folder import RUNS
        from train.terminal import print_study

        table, missing = study_table(study, RUNS, name)
        print_study(table, missing)
        table.write(RUNS)
        typer.echo(f"table: {RUNS / table.name}.csv and .tex")
        if table.rows and not find_study(study).is_papers:
            with paper_style(paper):
                save(study_figure(table), RUNS, table.name)
            typer.echo(f"figure: {RUNS / table.name}.pdf and .png")
        return
    if not runs:
        raise UsageError("name the folder of a run, such as mpt-report runs/demo, or a --study")
    from data_cache.sharing.download import local_copy
    from train.report.build import build_report

    copies = [local_copy(each) for each in cache or []]
    page = build_report(runs[0], runs[1:], copies, images=images, single_file=single_file, paper=paper)
    typer.echo(f"report: {page.resolve().as_uri()}")


def main() -> None:
    """Entry point."""
    run(app, "mpt-report")


if __name__ == "__main__":
    main()
