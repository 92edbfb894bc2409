"""The folder `casme2.h5.parts/` in which a cache grows: a plan, one shard per clip, one merge at the end.

Runs that are resumed, workers of a cluster and the jobs of a SLURM array all share it. A shard is
named by recipe and source, so a changed knob or file never meets an old shard.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_cache.digest import digest
from data_cache.errors import ClipsFailed, UsageError
from data_cache.files.atomic import remove_leftovers, write_json
from data_cache.read.validate import errors_in, validate
from data_cache.write.shards import merge

_FORMAT = "mpt-parts"
_SHOWN = 5


@dataclass(frozen=True)
class Plan:
    """What a finished cache will hold.

    Attributes:
        dataset: name of the data set.
        recipe_digest: of its recipe.
        source_digest: identity of all sources.
        shards: clip key → file name of its shard.
        unusable: clip key → why the clip cannot be used, known before any work.
        provenance: for the finished cache.
    """

    dataset: str
    recipe_digest: str
    source_digest: str
    shards: Mapping[str, str]
    unusable: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Equal for plans of the same cache, whoever wrote them and when."""
        return digest({**asdict(self), "provenance": None})


def shard_name(recipe_digest: str, source_digest: str) -> str:
    """File name of the shard of one clip."""
    return f"{digest([recipe_digest, source_digest])[:32]}.h5"


class Parts:
    """The parts of the cache at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_name(path.name + ".parts")

    def shard(self, name: str) -> Path:
        """Where a shard lies."""
        return self.folder / name

    def is_whole(self, name: str) -> bool:
        """Whether a shard is there, and sound to the last pixel."""
        shard = self.shard(name)
        return shard.exists() and not errors_in(validate(shard))

    def write_plan(self, plan: Plan) -> None:
        """Note what is to be made. A plan of the same cache stays as it is; any other is replaced."""
        existing = self._stored_plan()
        if existing is None or existing.identity != plan.identity:
            write_json(self.folder / "plan.json", {"format": _FORMAT, **asdict(plan)})

    def read_plan(self) -> Plan:
        """The plan.

        Raises:
            UsageError: there is none.
        """
        plan = self._stored_plan()
        if plan is None:
            raise UsageError(
                f"no plan in {self.folder}; run mpt-preprocess with --shard, and give the path of its cache"
            )
        return plan

    def note_failures(self, share: str, failures: Mapping[str, str]) -> None:
        """Note which clips one share of the work could not use; an empty note removes an earlier one."""
        note = self.folder / f"failures-{share}.json"
        if failures:
            write_json(note, dict(failures))
        else:
            note.unlink(missing_ok=True)

    def failures(self) -> dict[str, str]:
        """Clip key → why it cannot be used, from all notes."""
        noted: dict[str, str] = {}
        for note in sorted(self.folder.glob("failures-*.json")):
            noted |= json.loads(note.read_text())
        return noted

    def merge(
        self,
        plan: Plan,
        failures: Mapping[str, str],
        *,
        allow_missing: bool = False,
        on_clip: Callable[[str], None] = lambda key: None,
    ) -> int:
        """Make the cache of all shards, and remove them; the number of clips in it.

        The caller holds the cache's `writer_lock`.

        Args:
            plan: what belongs in the cache.
            failures: clip key → why it could not be used.
            allow_missing: go on without the clips in `failures`.
            on_clip: called with each clip once it is copied.

        Raises:
            ClipsFailed: there are failures and `allow_missing` is off, or they are all there is; or shards are
                missing for no known reason. What is there is kept.
            InvalidFile: a shard was damaged after it was written; a new run finds that out and makes it anew.
            NoSpace: the disk is full.
        """
        remove_leftovers(self.path)
        wanted = {key: self.shard(name) for key, name in plan.shards.items() if key not in failures}
        absent = [key for key, shard in wanted.items() if not shard.exists()]
        if absent:
            shown = ", ".join(absent[:_SHOWN]) + (", …" if len(absent) > _SHOWN else "")
            raise ClipsFailed(
                f"{len(absent)} of {len(plan.shards)} clips of {self.path} are not made yet ({shown}); wait for the "
                "jobs that make them, or run their mpt-preprocess command again"
            )
        if failures and not (allow_missing and wanted):
            raise ClipsFailed(failure_report(failures, len(plan.shards) + len(plan.unusable), written=None))
        provenance = {**plan.provenance, "omitted": dict(sorted(failures.items()))}
        shards = list(wanted.values())
        merge(shards, self.path, source_digest=plan.source_digest, provenance=provenance, on_clip=on_clip)
        shutil.rmtree(self.folder, ignore_errors=True)
        return len(shards)

    def _stored_plan(self) -> Plan | None:
        try:
            stored = json.loads((self.folder / "plan.json").read_text())
            return Plan(**{name: value for name, value in stored.items() if name != "format"})
        except (OSError, ValueError, TypeError):
            return None


def failure_report(failures: Mapping[str, str], clips: int, written: list[Path] | None) -> str:
    """The message that lists clips that cannot be used.

    Args:
        failures: clip key → reason.
        clips: how many clips there are in all.
        written: the caches that were written without them, if any were.
    """
    lines = [f"  {key}: {reason}" for key, reason in sorted(failures.items())]
    outcome = (
        f"{', '.join(map(str, written))} holds the others."
        if written
        else "No cache was written; finished clips are kept. Mend these and run the same command again, or add "
        "--allow-missing to go on without them."
    )
    return f"{len(failures)} of {clips} clips cannot be used:\n" + "\n".join(lines) + f"\n{outcome}"
