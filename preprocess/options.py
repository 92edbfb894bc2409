"""How a build is run: options that change no pixel."""

from dataclasses import dataclass

from data_cache.options import knob

_RUN = "Run (changes no pixel)"


@dataclass(frozen=True)
class BuildOptions:
    """How to run a build; every command that builds a cache has these options."""

    jobs: int = knob(-1, "worker processes; -1 is every core", panel=_RUN, flag="--jobs -j")
    force: bool = knob(False, "overwrite an existing cache that is stale", panel=_RUN, flag="--force")
    allow_missing: bool = knob(
        False,
        "write the cache without clips that cannot be used (still exit code 3)",
        panel=_RUN,
        flag="--allow-missing",
    )
    fail_fast: bool = knob(False, "stop at the first clip that cannot be used", panel=_RUN, flag="--fail-fast")
    hash_sources: bool = knob(
        False,
        "identify source files by content instead of size and date",
        panel=_RUN,
        flag="--hash-sources",
    )
