"""What a build would do, without doing it: clips, disk space, time."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from data_cache.files.space import free_bytes, readable
from data_cache.schema import cache_bytes
from preprocess.clip import ClipError
from preprocess.datasets.base import Discovery
from preprocess.job.work import Task
from preprocess.pipeline import process_clip
from preprocess.workers.fanout import available_jobs


def print_forecast(found: Discovery, states: Mapping[Path, str], tasks: Sequence[Task], jobs: int) -> None:
    """Print the forecast to stdout.

    Args:
        states: cache → what `state_of` says of it.
    """
    typer.echo(f"{found.dataset}: {len(found.clips)} clips, {len(found.failures)} that cannot be used")
    for key, reason in sorted(found.failures.items()):
        typer.echo(f"  {key}: {reason}")
    for path, state in states.items():
        typer.echo(f"{path}: {state}")
    if not tasks:
        typer.echo("every shard is there; only the merge is left, if anything")
        return
    recipe = tasks[0].recipes[0]
    shards = sum(len(task.shards) for task in tasks)
    needed = shards * cache_bytes(1, recipe.frames, recipe.size)
    needed += len(states) * cache_bytes(len(found.clips), recipe.frames, recipe.size)
    path = next(iter(states))
    typer.echo(f"to do: {len(tasks)} clips, {shards} shards")
    typer.echo(f"disk: {readable(needed)} needed (shards and cache), {readable(free_bytes(path))} free")
    seconds = _seconds_per_clip(tasks)
    if seconds is not None:
        workers = min(available_jobs(jobs), len(tasks))
        typer.echo(f"time: about {seconds * len(tasks) / workers:.2g} s with {workers} workers here")


def _seconds_per_clip(tasks: Sequence[Task], tries: int = 3) -> float | None:
    """Seconds of work per clip, measured on a few of them; the first one, which warms up, does not count."""
    times = []
    for task in [tasks[0], *tasks[:: max(1, len(tasks) // tries)][:tries]]:
        started = time.perf_counter()
        try:
            process_clip(task.clip, task.recipes)
        except (ClipError, ValueError):
            continue
        times.append(time.perf_counter() - started)
    return sum(times[1:]) / len(times[1:]) if len(times) > 1 else None
