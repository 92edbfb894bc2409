"""The command `mpt-train`. Parsing and printing only; the work is in `job`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from data_cache.commandline import make_app, run, version_option
from data_cache.errors import UsageError
from data_cache.options import with_options
from train.config import Execution, TrainConfig, resolve

app = make_app(
    "Train a frozen, prompt-tuned ViT on a cache and evaluate it leave-one-subject-out.\n\n"
    "[bold]Example[/bold]: mpt-train --cache data_cache/casme2.h5"
)
RUNS = Path("runs")


def list_presets(value: bool) -> None:
    """Callback of `--presets`."""
    if value:
        from train.presets import PRESETS

        print_pairs([(name, preset.about) for name, preset in PRESETS.items()])
        raise typer.Exit


@app.command()
@with_options(Execution, into="how")
@with_options(TrainConfig)
def train(
    cache: Annotated[
        list[Path], typer.Option("--cache", help="Cache from mpt-preprocess; several for a composite protocol.")
    ],
    preset: Annotated[str, typer.Option(help="Named settings: a row of the paper's tables, and more.")] = "mpt",
    presets: Annotated[
        bool, typer.Option("--presets", callback=list_presets, is_eager=True, help="List the presets.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings; the command line wins over it.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Folder of the run below runs/.", show_default="<data sets>-<preset>")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Repeat with this many seeds and report mean and deviation.")
    ] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Discard an existing run of this name.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it costs; write nothing.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    version: Annotated[
        bool | None, typer.Option("--version", callback=version_option, is_eager=True, help="Show the version.")
    ] = None,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Train on CACHE, leaving one subject out at a time, and print the scores."""
    from train.presets import find_preset

    settings = resolve(find_preset(preset).settings, config, given)
    execution = Execution(**how)
    if name is not None and (Path(name).name != name or name in (".", "..")):
        raise UsageError(f"--name is {name!r}; expected a plain name, for runs go to {RUNS}/NAME")
    from train.job import train_run
    from train.runs import RunFolder
    from train.task import make_task

    task = make_task(cache, settings.protocol)
    if dry_run:
        from train.plan import plan_run

        plan = plan_run(task, settings, execution)
        print_json(plan.as_json()) if json_output else print_pairs(plan.lines())
        return
    path = RUNS / (name or f"{'+'.join(sorted(set(task.clips.datasets)))}-{preset}")
    paths = [path] if seeds == 1 else [path.with_name(f"{path.name}-seed{number}") for number in range(seeds)]
    summaries = [
        train_run(task, replace(settings, seed=settings.seed + number), execution, RunFolder(place), overwrite)
        for number, place in enumerate(paths)
    ]
    finished = [(summary, place) for summary, place in zip(summaries, paths, strict=True) if summary is not None]
    for summary, place in finished:
        if not json_output:
            print_summary(summary, place)
    if seeds > 1 and len(finished) == seeds:
        print_seeds([summary for summary, _ in finished], paths, path, json_output)
    elif json_output and finished:
        print_json(finished[0][0])


def print_seeds(summaries: list[dict[str, Any]], paths: list[Path], path: Path, json_output: bool) -> None:
    """Mean and standard deviation over the seeds; also written beside the runs."""
    from data_cache.atomic import write_json
    from train.seeds import METRICS, combine_seeds

    combined = combine_seeds(summaries, [place.name for place in paths])
    write_json(path.with_name(f"{path.name}-seeds.json"), combined)
    if json_output:
        print_json(combined)
        return
    scores = ", ".join(f"{metric} {combined[metric]['mean']:.1%} ± {combined[metric]['sd']:.1%}" for metric in METRICS)
    typer.echo(f"{len(summaries)} seeds (mean ± standard deviation): {scores}")


def print_json(value: dict[str, Any]) -> None:
    """A result for programs."""
    import json

    typer.echo(json.dumps(value, indent=2))


def print_pairs(pairs: list[tuple[str, str]]) -> None:
    """A result for people."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        typer.echo(f"{name:<{width}}  {value}")


def print_summary(summary: dict[str, Any], folder: Path) -> None:
    """The table at the end of a run."""
    from rich.console import Console
    from rich.table import Table

    final, baseline = summary["final_epoch"], summary["majority_baseline"]
    table = Table(title=f"{summary['clips']} clips, {summary['subjects']} subjects, leave-one-subject-out")
    for heading in ("", "Acc", "macro-F1", "UAR"):
        table.add_column(heading, justify="left" if not heading else "right")
    metrics = ("accuracy", "macro_f1", "uar")
    table.add_row("final epoch", *(f"{final[m]:.1%}" for m in metrics), style="bold")
    table.add_row("95 % interval", *("–".join(f"{100 * v:.1f}" for v in final["interval_95"][m]) for m in metrics))
    table.add_row("always the majority", *(f"{baseline[m]:.1%}" for m in metrics))
    table.add_row(
        "best epoch on test (leak)", *(f"{summary['oracle_best_epoch'][m]:.1%}" for m in metrics), style="dim"
    )
    console = Console()
    console.print(table)
    console.print(
        f"against chance (labels shuffled within subjects: {final['permutation_accuracy']:.1%}): "
        f"p = {final['permutation_p']:.4f}"
    )
    console.print(f"run: {folder}    report: mpt-report {folder}", highlight=False)


def main() -> None:
    """Entry point."""
    run(app, "mpt-train")


if __name__ == "__main__":
    main()
