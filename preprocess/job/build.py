"""The whole job: clips to shards, shards to a cache; what was done before is not done again."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from data_cache.console.commandline import available_jobs, progress, typed_command
from data_cache.console.interrupt import stop_request
from data_cache.digest import digest
from data_cache.errors import ClipsFailed, Interrupted, InvalidFile, StaleFile
from data_cache.files.lock import writer_lock
from data_cache.files.space import cache_bytes, readable, require_space
from data_cache.schema import CacheAttributes
from data_cache.write.parts import Parts, Plan, failure_report, shard_name
from data_cache.write.shards import natural_key
from preprocess.clip import Clip, VideoSpan
from preprocess.datasets.base import Discovery
from preprocess.job.dry_run import print_forecast
from preprocess.job.freshness import ABSENT, UP_TO_DATE, state_of
from preprocess.job.options import BuildOptions
from preprocess.job.provenance import lowered_bands, provenance
from preprocess.job.receipts import ReceiptLog
from preprocess.job.sources import source_digest
from preprocess.job.work import Task, make_shards
from preprocess.recipe import Recipe
from preprocess.workers.cluster import DaskCluster
from preprocess.workers.fanout import Executor, local

log = logging.getLogger(__name__)

__all__ = ["BuildOptions", "build"]


@dataclass(frozen=True)
class _Job:
    """What there is to do.

    Attributes:
        found: the clips, in natural order.
        sources: clip key → identity of its files and annotation.
        recipes: cache → its recipe, for the caches that are to be made.
    """

    found: Discovery
    sources: Mapping[str, str]
    recipes: Mapping[Path, Recipe]

    @property
    def source_digest(self) -> str:
        """Identity of all sources together."""
        return digest([self.sources, sorted(self.found.failures)])

    def shards(self, recipe: Recipe, clips: Sequence[Clip]) -> dict[str, str]:
        """Clip key → name of its shard."""
        return {clip.key: shard_name(recipe.digest, self.sources[clip.key]) for clip in clips}


def build(found: Discovery, targets: Mapping[Path, Recipe], options: BuildOptions) -> None:
    """Make one cache per entry of `targets`; their recipes differ in α alone.

    Each worker writes one shard per clip and recipe into `<cache>.parts/`. When all are there, they
    are merged into the cache, which appears whole or not at all, and the shards are removed.

    Raises:
        StaleFile: a target exists and was made with another recipe or from other sources.
        ClipsFailed: some clips could not be used. The cache is written without them only with
            `allow_missing`; otherwise their shards wait for the next run.
        Locked: another process is making one of the caches.
        NoSpace: the disk is full, or would be.
        Interrupted: after Ctrl-C, once the clips in hand were finished.
    """
    found = replace(found, clips=sorted(found.clips, key=lambda clip: natural_key(clip.key)))
    sources = {clip.key: source_digest(clip, found.root, options.hash_sources) for clip in found.clips}
    job = _Job(found, sources, targets)
    states = {path: _state(path, recipe, job, options) for path, recipe in targets.items()}
    job = replace(job, recipes={path: recipe for path, recipe in targets.items() if states[path] != UP_TO_DATE})
    if options.dry_run:
        print_forecast(found, states, _missing(job, _mine(job, options)), options.jobs)
        return
    for path, state in states.items():
        if state == UP_TO_DATE:
            log.info(f"{path} is {state}")
        elif state != ABSENT and not options.force:
            raise StaleFile(f"{path} is stale: {state}. Add --force to make it anew, or -o for another file")
    if not job.recipes:
        return
    if options.fail_fast and found.failures:
        raise ClipsFailed(failure_report(found.failures, len(sources) + len(found.failures), written=None))
    with ExitStack() as locks:
        for path in sorted(job.recipes):
            locks.enter_context(writer_lock(path, options.share.name if options.share else ""))
        _make(job, options)


def _make(job: _Job, options: BuildOptions) -> None:
    notes = job.found.notes + lowered_bands(job.found.clips, next(iter(job.recipes.values())))
    made_by = provenance(job.found.root.resolve(), notes, job.found.corrections)
    plans = {path: _plan(job, recipe, made_by) for path, recipe in job.recipes.items()}
    mine = _mine(job, options)
    missing = _missing(job, mine)
    _require_space(job, len(mine), missing, options)
    for path, plan in plans.items():
        Parts(path).write_plan(plan)
    for line in [*notes, *(f"corrected {line}" for line in job.found.corrections)]:
        log.info(line)
    failures = _run(job, mine, missing, options)
    if options.share is not None:
        _close_share(job, options, failures, len(mine))
        return
    failures = {**job.found.failures, **failures}
    for path, plan in plans.items():
        clips = _merge(path, plan, failures, options)
        log.info(f"{path}: {clips} clips, {readable(path.stat().st_size)}, alpha {job.recipes[path].alpha:g}")
    if failures:
        total = len(job.sources) + len(job.found.failures)
        raise ClipsFailed(failure_report(failures, total, written=list(plans)))


def _merge(path: Path, plan: Plan, failures: Mapping[str, str], options: BuildOptions) -> int:
    with progress(f"writing {path.name}", len(plan.shards), "clips") as advance:
        return Parts(path).merge(
            plan, failures, allow_missing=options.allow_missing, on_clip=lambda key: advance(1, "")
        )


def _plan(job: _Job, recipe: Recipe, made_by: Mapping[str, object]) -> Plan:
    return Plan(
        dataset=job.found.dataset,
        recipe_digest=recipe.digest,
        source_digest=job.source_digest,
        shards=job.shards(recipe, job.found.clips),
        unusable=job.found.failures,
        provenance=made_by,
    )


def _state(path: Path, recipe: Recipe, job: _Job, options: BuildOptions) -> str:
    try:
        state = state_of(path, recipe, job.source_digest)
    except InvalidFile as error:
        if not options.force and not options.dry_run:
            raise
        return str(error)
    return "to be made anew, as --force says" if options.force and state == UP_TO_DATE else state


def _mine(job: _Job, options: BuildOptions) -> list[Clip]:
    """The clips that this process has to see to."""
    share = options.share
    return [clip for position, clip in enumerate(job.found.clips) if share is None or share.has(position)]


def _missing(job: _Job, clips: Sequence[Clip]) -> list[Task]:
    """What is left to do: a task for every clip that lacks a sound shard."""
    attributes = {
        path: CacheAttributes(
            dataset=job.found.dataset,
            recipe=recipe.as_json(),
            recipe_digest=recipe.digest,
            source_digest="",
            provenance={},
            licence_notice=job.found.licence_notice,
        )
        for path, recipe in job.recipes.items()
    }
    names = {path: job.shards(recipe, clips) for path, recipe in job.recipes.items()}

    def task(clip: Clip) -> Task | None:
        paths = [path for path in job.recipes if not Parts(path).is_whole(names[path][clip.key])]
        if not paths:
            return None
        return Task(
            clip=clip,
            recipes=tuple(job.recipes[path] for path in paths),
            shards=tuple(Parts(path).shard(names[path][clip.key]) for path in paths),
            attributes=tuple(replace(attributes[path], source_digest=job.sources[clip.key]) for path in paths),
        )

    with ThreadPoolExecutor(available_jobs(-1)) as pool:
        return [found for found in pool.map(task, clips) if found is not None]


def _require_space(job: _Job, clips: int, missing: Sequence[Task], options: BuildOptions) -> None:
    recipe = next(iter(job.recipes.values()))
    shards = sum(len(task.shards) for task in missing)
    needed, what = shards * cache_bytes(1, recipe.frames, recipe.size), f"{shards} shards"
    if options.share is None:
        needed += len(job.recipes) * cache_bytes(clips, recipe.frames, recipe.size)
        what += " and the cache"
    require_space(next(iter(job.recipes)), needed, what)


def _run(job: _Job, mine: Sequence[Clip], tasks: Sequence[Task], options: BuildOptions) -> dict[str, str]:
    """Run the tasks under one progress bar; clip key → failure."""
    failures: dict[str, str] = {}
    waiting = {task.clip.key for task in tasks}
    tasks = [task.absolute() for task in tasks]  # workers may have been started in other folders
    with (
        ReceiptLog(options.log_file) as log,
        progress(f"preprocessing {job.found.dataset}", len(mine), "clips") as advance,
        stop_request() as stop,
        closing(_executor(job, tasks, options).run(make_shards, tasks, stop)) as receipts,
    ):
        for clip in mine:
            if clip.key not in waiting:
                log.write({"status": "reused", "clip": clip.key})
        advance(len(mine) - len(tasks), "")
        done = len(mine) - len(tasks)
        for receipt in receipts:
            log.write(receipt.as_json())
            done += 1
            if receipt.failure is not None:
                failures[receipt.clip] = receipt.failure
                if options.fail_fast:
                    raise ClipsFailed(failure_report(failures, len(job.sources), written=None))
            advance(1, f"{len(failures)} failed" if failures else "")
        if stop.is_set():
            raise Interrupted(
                f"interrupted; {done - len(failures)} of {len(mine)} clips are done and kept. "
                f"Go on with: {typed_command()}"
            )
    return failures


def _executor(job: _Job, tasks: Sequence[Task], options: BuildOptions) -> Executor:
    if options.scheduler is None or not tasks:
        return local(options.jobs, len(tasks))
    frames = tasks[0].clip.frames
    source = frames.path if isinstance(frames, VideoSpan) else frames[0]
    return DaskCluster(options.scheduler, [Parts(path).folder for path in job.recipes], source)


def _close_share(job: _Job, options: BuildOptions, failures: Mapping[str, str], clips: int) -> None:
    assert options.share is not None
    for path in job.recipes:
        Parts(path).note_failures(options.share.name, failures)
    if failures:
        raise ClipsFailed(failure_report(failures, clips, written=None))
    log.info(f"share {options.shard} is done: {clips} clips. When all are, run:")
    for path in job.recipes:
        log.info(f"  mpt-cache merge-parts {path}")
