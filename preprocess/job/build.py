"""The whole job: clips to shards, shards to a cache; what was done before is not done again."""

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from statistics import fmean
from threading import Event
from typing import Any

import typer
from rich.filesize import decimal

from data_cache.console.commandline import progress
from data_cache.console.interrupt import stop_request
from data_cache.digest import digest
from data_cache.errors import ClipsFailed, Interrupted, StaleFile, typed_command
from data_cache.files.atomic import free_bytes, require_space
from data_cache.files.lock import writer_lock
from data_cache.names import natural_key
from data_cache.schema import cache_bytes
from data_cache.write.shards import (
    failure_report,
    finish,
    is_complete,
    merge_parts,
    parts_folder,
    require_own_parts,
    shard_path,
)
from preprocess.clip import ClipError
from preprocess.datasets.base import Discovery
from preprocess.job.provenance import (
    ABSENT,
    UP_TO_DATE,
    file_identities,
    lowered_bands,
    provenance,
    source_digest,
    state_of,
)
from preprocess.job.work import ClipResult, Task, make_shards, result_log
from preprocess.pipeline import process_clip
from preprocess.recipe import BuildOptions, Recipe
from preprocess.workers import available_jobs, run_here, run_on_cluster

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """What there is to do; `seen` has the identities of the files of each clip, `sources` that of all it is made of."""

    found: Discovery
    seen: Mapping[str, tuple[list[Any], ...]]
    sources: Mapping[str, str]
    source_digest: str
    recipes: Mapping[Path, Recipe]
    options: BuildOptions

    @cached_property
    def shards(self) -> dict[Path, dict[str, Path]]:
        """Cache → clip key → where its shard lies."""
        return {
            path: {key: shard_path(path, recipe.digest, source) for key, source in self.sources.items()}
            for path, recipe in self.recipes.items()
        }


def build(found: Discovery, targets: Mapping[Path, Recipe], options: BuildOptions) -> None:
    """Make one cache per entry of `targets`; their recipes differ in α alone.

    Each worker writes one shard per clip and recipe into `<cache>.parts/`. When all are there, they
    are merged into the cache, which appears complete or not at all, and the shards are removed.

    Raises:
        StaleFile: a target exists and was made with another recipe or from other sources.
        ClipsFailed: some clips could not be used. The cache is written without them only with
            `allow_missing`; otherwise their shards wait for the next run.
        Locked: another process is making one of the caches.
        NoSpace: the disk is full, or would be.
        Interrupted: after Ctrl-C, once the clips in hand were finished.
    """
    found = replace(found, clips=sorted(found.clips, key=lambda clip: natural_key(clip.key)))
    seen = {clip.key: file_identities(clip, options.hash_sources) for clip in found.clips}
    sources = {clip.key: source_digest(clip, found.root, seen[clip.key]) for clip in found.clips}
    everything = digest([sources, sorted(found.failures)])
    states = {path: state_of(path, recipe, everything, found.clips, options) for path, recipe in targets.items()}
    recipes = {path: recipe for path, recipe in targets.items() if states[path] != UP_TO_DATE}
    job = _Job(found, seen, sources, everything, recipes, options)
    if options.dry_run:
        _print_forecast(job, states)
        return
    for path, state in states.items():
        if state == UP_TO_DATE:
            log.info(f"{path} is {state}")
            finish(path)
        elif state != ABSENT and not options.force:
            raise StaleFile(f"{path} is stale: {state}. Add --force to make it anew, or -o for another file")
    if not recipes:
        return
    if options.fail_fast and found.failures:
        raise ClipsFailed(failure_report(found.failures, len({*sources, *found.failures})))
    with ExitStack() as locks:
        for path in sorted(recipes):
            locks.enter_context(writer_lock(path))
            require_own_parts(path)
        _make(job)


def _make(job: _Job) -> None:
    notes = job.found.notes + lowered_bands(job.found.clips, next(iter(job.recipes.values())))
    missing = _missing(job)
    shards, needed = _space(job, missing)
    require_space(next(iter(job.recipes)), needed, f"{shards} shards and the cache")
    for line in [*notes, *(f"corrected {line}" for line in job.found.corrections)]:
        log.info(line)
    failures = {**job.found.failures, **_run(job, missing)}
    made_by = provenance(job.found, notes, failures)
    for path, recipe in job.recipes.items():
        with progress(f"writing {path.name}", len(job.sources), "clips") as advance:
            clips = merge_parts(
                path,
                job.shards[path],
                failures,
                source_digest=job.source_digest,
                provenance=made_by,
                allow_missing=job.options.allow_missing,
                on_clip=lambda key, advance=advance: advance(1, ""),  # type: ignore[misc]
            )
        log.info(f"{path}: {clips} clips, {decimal(path.stat().st_size)}, alpha {recipe.alpha:g}")
    if failures:
        raise ClipsFailed(failure_report(failures, len({*job.sources, *failures}), written=list(job.recipes)))


def _missing(job: _Job) -> list[Task]:
    """What is left to do: a task for every clip that lacks a complete shard."""
    shards = [shard for made in job.shards.values() for shard in made.values()]
    with ThreadPoolExecutor(available_jobs(-1)) as pool:  # hashing runs in parallel
        complete = set(compress(shards, pool.map(is_complete, shards)))
    notice, by_content, tasks = job.found.licence_notice, job.options.hash_sources, []
    for clip in job.found.clips:
        key = clip.key
        made = [(recipe, job.shards[path][key]) for path, recipe in job.recipes.items()]
        if outputs := tuple((recipe, shard.absolute()) for recipe, shard in made if shard not in complete):
            tasks.append(Task(clip.absolute(), job.seen[key], by_content, job.sources[key], notice, outputs))
    return tasks


def _space(job: _Job, missing: Sequence[Task]) -> tuple[int, int]:
    """How many shards are to be made, and the bytes of these and of the caches."""
    recipe = next(iter(job.recipes.values()))
    shards = sum(len(task.outputs) for task in missing)
    caches = len(job.recipes) * cache_bytes(len(job.sources), recipe.frames, recipe.size)
    return shards, shards * cache_bytes(1, recipe.frames, recipe.size) + caches


def _print_forecast(job: _Job, states: Mapping[Path, str]) -> None:
    """Print what a build would do to stdout: clips, disk space, time; `states` is cache → what `state_of` says."""
    found, tasks = job.found, _missing(job)
    lost = f"{len(found.failures)} that cannot be used" if found.failures else "all usable"
    typer.echo(f"{found.dataset}: {len(found.clips)} clips, {lost}")
    for key, reason in sorted(found.failures.items()):
        typer.echo(f"  {key}: {reason}")
    for path, state in states.items():
        typer.echo(f"{path}: {state}")
    if not tasks:
        typer.echo("nothing to compute: every clip is done")
        return
    shards, needed = _space(job, tasks)
    typer.echo(f"to do: {len(tasks)} clips, {shards} shards")
    typer.echo(f"disk: {decimal(needed)} needed (shards and cache), {decimal(free_bytes(next(iter(states))))} free")
    seconds = _seconds_per_clip(tasks)
    if seconds is not None:
        workers = min(available_jobs(job.options.jobs), len(tasks))
        typer.echo(f"time: about {seconds * len(tasks) / workers:.2g} s with {workers} workers here")


def _seconds_per_clip(tasks: Sequence[Task]) -> float | None:
    """Seconds of work per clip, measured on three of them after another one, which warms up."""
    times = []
    for task in [tasks[0], *tasks[:: max(1, len(tasks) // 3)][:3]]:
        started = time.perf_counter()
        try:
            process_clip(task.clip, [recipe for recipe, _ in task.outputs])
        except (ClipError, ValueError):
            continue
        times.append(time.perf_counter() - started)
    return fmean(times[1:]) if len(times) > 1 else None


def _run(job: _Job, tasks: Sequence[Task]) -> dict[str, str]:
    """Run the tasks under one progress bar; clip key → failure."""
    failures: dict[str, str] = {}
    waiting, clips = {task.clip.key for task in tasks}, len(job.sources)
    with (
        result_log(job.options.log_file) as write,
        progress(f"preprocessing {job.found.dataset}", clips, "clips") as advance,
        stop_request() as stop,
        closing(_results(job, tasks, stop)) as results,
    ):
        for key in job.sources:
            if key not in waiting:
                write({"status": "reused", "clip": key})
        advance(clips - len(waiting), "")
        for result in results:
            write({"status": "done" if result.failure is None else "failed", **asdict(result)})
            waiting.remove(result.clip)
            if result.failure is not None:
                failures[result.clip] = result.failure
                if job.options.fail_fast:
                    raise ClipsFailed(failure_report(failures, clips))
            advance(1, f"{len(failures)} failed" if failures else "")
        if stop.is_set():
            done = clips - len(waiting) - len(failures)
            raise Interrupted(f"interrupted; {done} of {clips} clips are done. Resume with: {typed_command()}")
    return failures


def _results(job: _Job, tasks: Sequence[Task], stop: Event) -> Generator[ClipResult, None, None]:
    if job.options.scheduler is None or not tasks:
        return run_here(make_shards, tasks, stop, job.options.jobs)
    folders = [parts_folder(path) for path in job.recipes]
    return run_on_cluster(make_shards, tasks, stop, job.options.scheduler, folders, tasks[0].clip.files[0])
