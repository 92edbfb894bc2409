"""How a build is run; nothing here changes a pixel."""

import re
from dataclasses import dataclass
from pathlib import Path

from data_cache.console.options import check_options, option
from data_cache.errors import UsageError

_RUN = "Run (changes no pixel)"


@dataclass(frozen=True)
class Share:
    """One of `of` equal shares of the clips, for the jobs of an array.

    Attributes:
        index: 0 to of − 1.
        of: number of shares.
    """

    index: int
    of: int

    @property
    def name(self) -> str:
        """For file names."""
        return f"shard-{self.index}-of-{self.of}"

    def has(self, position: int) -> bool:
        """Whether the clip at `position` of the sorted list belongs to this share."""
        return position % self.of == self.index


@dataclass(frozen=True)
class BuildOptions:
    """How to run a build; every command that builds a cache has these options."""

    jobs: int = option(-1, "worker processes; -1 is every core", panel=_RUN, flag="--jobs -j")
    force: bool = option(False, "overwrite an existing cache that is stale", panel=_RUN, flag="--force")
    allow_missing: bool = option(
        False,
        "write the cache without clips that cannot be used (still exit code 3)",
        panel=_RUN,
        flag="--allow-missing",
    )
    fail_fast: bool = option(False, "stop at the first clip that cannot be used", panel=_RUN, flag="--fail-fast")
    hash_sources: bool = option(
        False,
        "identify source files by content instead of size and date",
        panel=_RUN,
        flag="--hash-sources",
    )
    scheduler: str | None = option(
        None,
        "run on the dask cluster of this scheduler, such as tcp://node1:8786; its workers need this package and the "
        "same folders (docs/cluster.md)",
        panel=_RUN,
    )
    shard: str | None = option(
        None,
        "make only share K of N, as K/N with K from 1 to N or from 0 to N-1, for job arrays; then run "
        "'mpt-cache merge-parts'",
        panel=_RUN,
    )
    dry_run: bool = option(
        False,
        "only tell what would be done: clips, disk space, time. Writes nothing",
        panel=_RUN,
        flag="--dry-run",
    )
    log_file: Path | None = option(  # noqa: RUF009 - makes a field, as elsewhere
        None, "append one line of JSON per clip to this file", panel=_RUN
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.shard is not None:
            self.share  # noqa: B018 - complains about a bad value now
        if self.scheduler is not None and self.shard is not None:
            raise UsageError("--scheduler and --shard are two ways to spread the work; choose one")

    @property
    def share(self) -> Share | None:
        """The share of the clips to make; None for all.

        Raises:
            UsageError: `shard` is not K/N.
        """
        if self.shard is None:
            return None
        match = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        if not match or int(match[2]) < 1 or int(match[1]) > int(match[2]):
            raise UsageError(f"shard is {self.shard!r}; expected K/N such as 3/8, with K from 1 to N (or 0 to N-1)")
        # Counting from 0 and from 1 both name every remainder once.
        return Share(int(match[1]) % int(match[2]), int(match[2]))
