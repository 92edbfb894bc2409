"""The whole job: clips to shards, shards to a cache; what was done before is not done again."""

import platform
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from data_cache import __version__
from data_cache.commandline import progress, say
from data_cache.digest import digest
from data_cache.errors import ClipsFailed, InvalidFile, MptError, StaleFile
from data_cache.reader import CacheReader
from data_cache.schema import CacheAttributes
from data_cache.store import merge, write_shard
from preprocess.datasets.base import Clip, ClipError, Discovery
from preprocess.fanout import fan_out
from preprocess.options import BuildOptions
from preprocess.pipeline import plan_for, process_clip
from preprocess.recipe import Recipe
from preprocess.sources import source_digest


@dataclass(frozen=True)
class _Task:
    """One clip and the shards to make of it; what travels to a worker."""

    clip: Clip
    recipes: tuple[Recipe, ...]
    shards: tuple[Path, ...]
    attributes: tuple[CacheAttributes, ...]


@dataclass(frozen=True)
class _Receipt:
    """What comes back from a worker: the clip's key, and the reason if it failed."""

    key: str
    failure: str | None = None


def build(found: Discovery, targets: Mapping[Path, Recipe], options: BuildOptions) -> None:
    """Make one cache per entry of `targets`; their recipes differ in α alone.

    Each worker writes one shard per clip and recipe into `<cache>.parts/`. When all are there, they
    are merged into the cache, which appears whole or not at all, and the shards are removed.

    Raises:
        StaleFile: a target exists and was made with another recipe or from other sources.
        ClipsFailed: some clips could not be used. The cache is written without them only with
            `allow_missing`; otherwise their shards wait for the next run.
        NoSpace: the disk is full.
    """
    root = found.root.resolve()
    sources = {clip.key: source_digest(clip, found.root, options.hash_sources) for clip in found.clips}
    everything = digest([sources, sorted(found.failures)])
    pending = {path: recipe for path, recipe in targets.items() if not _is_current(path, recipe, everything, options)}
    if not pending:
        return
    failures = dict(found.failures)
    attributes = {
        path: CacheAttributes(
            dataset=found.dataset,
            recipe=recipe.as_json(),
            recipe_digest=recipe.digest,
            source_digest="",
            provenance={},
            licence_notice=found.licence_notice,
        )
        for path, recipe in pending.items()
    }
    tasks = _tasks(found.clips, sources, pending, attributes)
    if options.fail_fast and failures:
        raise ClipsFailed(_failure_report(failures, len(sources), written=None))
    failures |= _run(tasks, len(found.clips), found.dataset, options)
    good = [clip for clip in found.clips if clip.key not in failures]
    if failures and not (options.allow_missing and good):
        raise ClipsFailed(_failure_report(failures, len(sources) + len(found.failures), written=None))
    notes = found.notes + _lowered_bands(good, next(iter(pending.values())))
    for note in [*notes, *(f"corrected {line}" for line in found.corrections)]:
        say(note)
    for path, recipe in pending.items():
        merge(
            [_shard(path, recipe, sources[clip.key]) for clip in good],
            path,
            source_digest=everything,
            provenance=_provenance(root, notes, found.corrections, failures),
        )
        shutil.rmtree(_parts(path))
        say(f"{path}: {len(good)} clips, {path.stat().st_size / 1e6:.0f} MB, alpha {recipe.alpha:g}")
    if failures:
        raise ClipsFailed(_failure_report(failures, len(sources) + len(found.failures), written=list(pending)))


def make_shards(task: _Task) -> _Receipt:
    """Process one clip and write its shards; runs in a worker."""
    try:
        for record, path, attributes in zip(
            process_clip(task.clip, task.recipes), task.shards, task.attributes, strict=True
        ):
            write_shard(path, record, attributes)
    except (ClipError, ValueError) as error:
        return _Receipt(task.clip.key, str(error))
    return _Receipt(task.clip.key)


def _is_current(path: Path, recipe: Recipe, everything: str, options: BuildOptions) -> bool:
    """Whether `path` is already what the build would make.

    Raises:
        StaleFile: it is a cache of something else, and `force` is off.
        InvalidFile: it is no cache at all, and `force` is off.
    """
    if not path.exists() or options.force:
        return False
    try:
        existing = CacheReader(path).attributes
    except InvalidFile as error:
        raise InvalidFile(f"{error}. To overwrite it, add --force") from error
    changes = [
        f"{name} {existing.recipe.get(name)} → {value}"
        for name, value in recipe.as_json().items()
        if existing.recipe.get(name) != value
    ]
    if existing.source_digest != everything:
        changes.append("the source files or their annotation changed")
    if changes:
        raise StaleFile(f"{path} is stale: {'; '.join(changes)}. Add --force to make it anew, or -o for another file")
    say(f"{path} is up to date")
    return True


def _tasks(
    clips: Sequence[Clip],
    sources: Mapping[str, str],
    pending: Mapping[Path, Recipe],
    attributes: Mapping[Path, CacheAttributes],
) -> list[_Task]:
    tasks = []
    for clip in clips:
        source = sources[clip.key]
        missing = {
            path: recipe for path, recipe in pending.items() if not _is_whole(_shard(path, recipe, source), clip.key)
        }
        if missing:
            tasks.append(
                _Task(
                    clip,
                    tuple(missing.values()),
                    tuple(_shard(path, recipe, source) for path, recipe in missing.items()),
                    tuple(CacheAttributes(**{**vars(attributes[path]), "source_digest": source}) for path in missing),
                )
            )
    return tasks


def _run(tasks: Sequence[_Task], clips: int, title: str, options: BuildOptions) -> dict[str, str]:
    """Run the tasks under one progress bar; clip key → failure."""
    failures: dict[str, str] = {}
    with progress(f"preprocessing {title}", clips, "clips") as advance:
        advance(clips - len(tasks), "")
        for receipt in fan_out(make_shards, tasks, options.jobs):
            if receipt.failure is not None:
                failures[receipt.key] = receipt.failure
                if options.fail_fast:
                    raise ClipsFailed(_failure_report(failures, clips, written=None))
            advance(1, f"{len(failures)} failed" if failures else "")
    return failures


def _parts(path: Path) -> Path:
    return path.with_name(path.name + ".parts")


def _shard(path: Path, recipe: Recipe, source: str) -> Path:
    """Shards are named by recipe and source, so a changed knob or file never meets an old shard."""
    return _parts(path) / f"{digest([recipe.digest, source])[:32]}.h5"


def _is_whole(shard: Path, key: str) -> bool:
    if not shard.exists():
        return False
    try:
        return CacheReader(shard).clips.keys == [key]
    except MptError:
        shard.unlink()
        return False


def _lowered_bands(clips: Sequence[Clip], recipe: Recipe) -> list[str]:
    lowered = [
        f"{clip.key}: {plan.rate:.3g} Hz allows {plan.band[0]:.3g}–{plan.band[1]:.3g} Hz"
        for clip in clips
        if (plan := plan_for(clip, recipe)).band != (recipe.low, recipe.high)
    ]
    if not lowered:
        return []
    shown = "; ".join(lowered[:3]) + ("; …" if len(lowered) > 3 else "")
    return [f"cut-offs lowered to fit the sampling rate in {len(lowered)} clips ({shown})"]


def _failure_report(failures: Mapping[str, str], clips: int, written: Sequence[Path] | None) -> str:
    lines = [f"  {key}: {reason}" for key, reason in sorted(failures.items())]
    outcome = (
        f"{', '.join(map(str, written))} holds the others."
        if written
        else "No cache was written; finished clips are kept. Mend these and run the same command again, or add "
        "--allow-missing to go on without them."
    )
    return f"{len(failures)} of {clips} clips cannot be used:\n" + "\n".join(lines) + f"\n{outcome}"


def _provenance(
    root: Path, notes: Sequence[str], corrections: Sequence[str], omitted: Mapping[str, str]
) -> dict[str, object]:
    return {
        "tool": f"motion-prompt-tuning {__version__}",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "source_folder": root.name,
        "versions": {name: _version(name) for name in ("numpy", "scipy", "opencv-python-headless", "h5py")}
        | {"python": platform.python_version()},
        "notes": list(notes),
        "corrections": list(corrections),
        "omitted": dict(omitted),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
