"""The command `mpt-train`. Parsing and printing only; the work is in `job`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from data_cache.console.commandline import Version, example, make_app, print_json, run
from data_cache.console.help import Also
from data_cache.console.options import with_options
from data_cache.errors import MptError, UsageError
from data_cache.names import name_problem
from train.config import Execution, TrainConfig, resolve
from train.paper.presets import PRESETS, PaperRow, find_preset
from train.terminal import print_pairs, print_seeds, print_study, print_summary

app = make_app(
    "Train a frozen, prompt-tuned ViT on caches and test it on the subjects that it has not seen.\n\n"
    + example("mpt-train data_cache/casme2.h5"),
    first=("preset", "presets", "name", "epochs", "lr", "protocol", "seeds", "final", "device", "dry_run", "overwrite",
           "config"),
)  # fmt: skip


def list_presets(value: bool) -> None:
    """Callback of `--presets`."""
    if value:
        print_pairs([(name, preset.about) for name, preset in PRESETS.items()])
        raise typer.Exit


@app.command()
@with_options(Execution, into="how")
@with_options(TrainConfig)
def train(
    cache: Annotated[
        list[str],
        typer.Argument(
            metavar="CACHE...", help="Cache from mpt-preprocess, a path or a URL; several for a composite protocol."
        ),
        Also("--cache"),
    ],
    preset: Annotated[str, typer.Option(help="Named settings: a row of the paper's tables, and more.")] = "mpt",
    presets: Annotated[
        bool, typer.Option("--presets", callback=list_presets, is_eager=True, help="List the presets.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings; the command line wins over it.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Folder of the run below runs/.", show_default="<data sets>-<preset>")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            help="Run a table of the paper: strategies, prompts, num-prompts, adapters, backbones, alpha, reduction; "
            "variants, for the parts one by one; recipes, to repeat on caches of several recipes."
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Repeat with this many seeds and report mean and deviation.")
    ] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Discard an existing run of this name.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it costs; write nothing.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    version: Version = None,
    *,
    given: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Train on CACHE, leaving one subject out at a time, and print the scores."""
    settings, execution = resolve(find_preset(preset).settings, config, given), Execution(**how)
    problem = None if name is None else name_problem("--name", name, most=150)
    if problem is not None:
        raise UsageError(problem)
    from data_cache.sharing.download import local_copy
    from train.cost.accounting import plan_lines, plan_run
    from train.data.task import Task, make_task
    from train.device import leads
    from train.job import train_run
    from train.results.run_folder import RUNS, RunFolder

    def run(task: Task, chosen: TrainConfig, place: Path) -> dict[str, Any] | None:
        return train_run(task, chosen, execution, RunFolder(place), overwrite)

    caches = [local_copy(each) for each in cache]
    if study is not None:
        if dry_run:
            plan_study(study, caches, settings, execution, json_output)
        else:
            train_study(study, caches, settings, name, seeds, run, json_output)
        return
    task = make_task(caches, settings)
    path = RUNS / (name or f"{'+'.join(sorted(set(task.clips.datasets)))}-{preset}")
    if dry_run:
        plan = plan_run(task, settings, execution, path)
        print_json(plan) if json_output else print_pairs(plan_lines(plan))
        return
    paths = [path] if seeds == 1 else [path.with_name(f"{path.name}-seed{number}") for number in range(seeds)]
    summaries = [run(task, replace(settings, seed=settings.seed + n), place) for n, place in enumerate(paths)]
    if not leads():
        return
    finished = [(summary, place) for summary, place in zip(summaries, paths, strict=True) if summary is not None]
    for summary, place in finished:
        if not json_output:
            print_summary(summary, place)
    if seeds > 1 and len(finished) == seeds:
        print_seeds([summary for summary, _ in finished], paths, path, json_output)
    elif json_output and finished:
        print_json(finished[0][0])


def plan_study(study: str, caches: list[Path], settings: TrainConfig, execution: Execution, json_output: bool) -> None:
    """Print what each row of a study would do, or why it cannot run."""
    from train.cost.accounting import plan_lines, plan_run
    from train.data.task import make_task
    from train.paper.studies import caches_for, find_study
    from train.results.run_folder import RUNS

    rows: list[dict[str, Any]] = []
    for part, row in find_study(study).rows.items():
        plan, missing = None, None
        try:
            chosen = replace(settings, **row.settings)
            plan = plan_run(make_task(caches_for(row, caches), chosen), chosen, execution, RUNS, timed=False)
        except MptError as error:
            missing = str(error)
        rows.append({"row": part, "plan": plan, "missing": missing})
        if not json_output:
            lines = [("not run", missing)] if plan is None else plan_lines(plan)
            print_pairs([("row", row.label), *lines, ("", "")])
    if json_output:
        print_json({"study": study, "rows": rows})


def train_study(
    study: str,
    caches: list[Path],
    settings: TrainConfig,
    name: str | None,
    seeds: int,
    run: Callable[..., dict[str, Any] | None],
    json_output: bool,
) -> None:
    """Run what is missing of a study and print its table."""
    from train.data.task import make_task, open_clips
    from train.device import leads
    from train.paper.studies import run_study, study_table
    from train.results.run_folder import RUNS

    # Opened here, a damaged cache ends the study before its first row.
    datasets = {dataset for path in caches for dataset in open_clips([path]).datasets}
    prefix = name or "+".join(sorted(datasets))

    def run_row(row: PaperRow, fitting: Sequence[Path], folder: Path, seed: int) -> dict[str, Any] | None:
        chosen = replace(settings, **row.settings, seed=settings.seed + seed)
        return run(make_task(fitting, chosen), chosen, folder)

    run_study(study, caches, RUNS, prefix, run_row, seeds)
    if leads():
        table, missing = study_table(study, RUNS, prefix)
        found = {"study": study, "about": table.caption, "columns": table.headings}
        rows = [row.cells for row in table.rows]
        print_json({**found, "rows": rows, "missing": missing}) if json_output else print_study(table, missing)


def main() -> None:
    """Entry point."""
    run(app, "mpt-train")


if __name__ == "__main__":
    main()
