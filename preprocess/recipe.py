"""Every setting of a cache: the recipe, whose JSON and digest are stored in it, and how a build is run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from math import isfinite, nan
from pathlib import Path
from typing import Any, Literal

from data_cache.console.options import check_options, from_mapping, option
from data_cache.digest import digest
from data_cache.errors import PAGES, UsageError

ALGORITHM_VERSION = 1
"""Raised by hand when the same settings give other pixels, so that older caches count as stale."""

_LATER = {"stabilise": "none", "blur": 0.0}
"""Options that the first caches do not have, with the values that stand for how those were made."""
_time = partial(option, panel="Time: sampling and rank pooling")
_magnify = partial(option, panel="Motion magnification")
_space = partial(option, panel="Space")
_run = partial(option, panel="Run (changes no pixel)")


@dataclass(frozen=True)
class Recipe:
    """What is done to a clip. The defaults are the paper's, or our documented choice where it is silent."""

    frames: int = _time(16, "T, frames per clip (paper: 16)", minimum=1, maximum=512)
    sampling: Literal["nearest", "linear", "box"] = _time(
        "nearest",
        "which native frames make the T samples. Paper: 16 'at regular intervals', interpolation when shorter. "
        "nearest picks frames; linear interpolates between two; box averages all frames around a sample, "
        "which halves the noise before magnification",
    )
    rank_pool: Literal["bilen", "linear"] = _time(
        "bilen",
        "weights of the dynamic image. Paper: the 'fast version' of Bilen et al. (harmonic weights); linear is 2t-T-1",
    )
    rank_pool_span: Literal["clip", "onset-apex"] = _time(
        "clip",
        "frames that are rank-pooled. Paper: the sequence (clip). onset-apex needs annotated apexes and does not "
        "cancel a symmetric rise and fall",
    )
    alpha: float = _magnify(20.0, "magnification factor (paper: 20)", minimum=0.0, maximum=1000.0)
    filter: Literal["causal", "filtfilt", "difference"] = _magnify(
        "causal",
        "temporal filter. Paper: Butterworth band-pass, nothing more. causal leaves the onset frame untouched; "
        "filtfilt has no lag; difference is the two-low-pass form of the original Eulerian code",
    )
    fs: str = _magnify(
        "true",
        "sampling rate that the cut-offs refer to: true is the rate of the T samples, (T-1)·fps/(N-1); nominal:HZ "
        "is the same for every clip (the paper does not say)",
    )
    low: float = _magnify(0.4, "lower cut-off in Hz (paper: 0.4)", minimum=1e-6)
    high: float = _magnify(4.0, "upper cut-off in Hz (paper: 4)", minimum=1e-6)
    order: int = _magnify(1, "order of the filter (paper: not given)", minimum=1, maximum=8)
    motion_form: Literal["additive", "band"] = _magnify(
        "additive",
        "additive keeps the face, x+αF(x); band is the magnified band alone, 128+αF(x). Paper: ambiguous; its "
        "remark that a large α damages textures speaks for additive",
    )
    gains: str = _magnify(
        "uniform",
        "each pyramid level's α. Paper: one α (uniform). evm is the λc schedule of Wu et al.; or a list from fine "
        "to coarse, the residual last, such as 0,10,20,20,0",
    )
    stabilise: Literal["none", "rigid", "affine"] = _magnify(
        "none",
        "take rigid head motion (shift, turn, zoom) and flicker out of the band and of the dynamic image, by least "
        "squares to first order; affine also takes shear. Not in the paper",
    )
    blur: float = _magnify(
        0.0, "blur of the magnified band, standard deviation in pixels (not in the paper)", minimum=0.0
    )
    levels: int = _space(
        5, "levels of the Laplacian pyramid, residual included (paper: not given)", minimum=1, maximum=16
    )
    explicit_pyramid: bool = _space(
        False, "build every pyramid level, as the equations read; slower, equal within rounding"
    )
    size: int = _space(224, "side of the square output in pixels (paper: 224)", minimum=8, maximum=2048)
    faces: Literal["none", "csv", "auto"] = _space(
        "none",
        "none uses whole frames; csv crops to boxes from a file; auto to what a detector finds (extra faces). One crop "
        "per clip, never per frame. Unless typed, it is none where frames are cropped already, else auto",
        shown="chosen from the data",
    )
    face_margin: float = _space(
        0.0, "share of the face's size to add on every side of its box", minimum=-0.4, maximum=2.0
    )
    algorithm: int = option(ALGORITHM_VERSION, "version of the arithmetic", flag="")

    def __post_init__(self) -> None:
        check_options(self)
        if self.low >= self.high:
            raise UsageError(f"low is {self.low} Hz and high is {self.high} Hz; --low must be below --high")
        most = 1 + (self.size - 1).bit_length()  # a side is halved, rounding up, until it is 1
        if self.levels > most:
            raise UsageError(f"levels is {self.levels}; an image of {self.size}×{self.size} allows {most}")
        self.nominal_rate, self.listed_gains  # noqa: B018 - complain about bad values now

    @cached_property
    def nominal_rate(self) -> float | None:
        """The rate in Hz of `--fs nominal:HZ`, or None for the true rate of each clip."""
        if self.fs == "true":
            return None
        kind, _, value = self.fs.partition(":")
        try:
            rate = float(value)
        except ValueError:
            rate = 0.0
        if kind != "nominal" or not 0 < rate < float("inf"):
            raise UsageError(f"fs is {self.fs!r}; expected true, or nominal:HZ such as nominal:30")
        return rate

    @cached_property
    def listed_gains(self) -> tuple[float, ...] | None:
        """The gains that `--gains` lists, from fine to coarse; None for `uniform` and `evm`, which follow from α."""
        if self.gains in ("uniform", "evm"):
            return None
        try:
            gains = tuple(float(part) for part in self.gains.split(","))
        except ValueError:
            gains = (nan,)
        if not all(map(isfinite, gains)):
            raise UsageError(f"gains is {self.gains!r}; expected uniform, evm, or finite numbers as in 0,10,20")
        if len(gains) != self.levels:
            raise UsageError(f"gains has {len(gains)} numbers for {self.levels} levels; give one each, or set --levels")
        return gains

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe."""
        return digest(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The recipe as a JSON object; an option that came later is left out at its default, so digests stay."""
        return {name: value for name, value in asdict(self).items() if _LATER.get(name, ...) != value}

    def with_alpha(self, alpha: float) -> "Recipe":
        """The same recipe at another magnification factor."""
        return replace(self, alpha=alpha)


@dataclass(frozen=True)
class BuildOptions:
    """How to run a build; every command that builds a cache has these options."""

    jobs: int = _run(-1, "worker processes; -1 is every core", flag="--jobs -j")
    force: bool = _run(False, "overwrite an existing cache that is stale", flag="--force")
    allow_missing: bool = _run(False, "write a cache without unusable clips (exit code 3)", flag="--allow-missing")
    fail_fast: bool = _run(False, "stop at the first clip that cannot be used", flag="--fail-fast")
    hash_sources: bool = _run(False, "identify source files by content instead of size and date", flag="--hash-sources")
    scheduler: str | None = _run(
        None,
        "run on the dask cluster of this scheduler, such as tcp://node1:8786; its workers need this package and the "
        f"same folders ({PAGES.format(page='how-to/cluster')})",
    )
    dry_run: bool = _run(False, "tell what would be done (clips, disk space, time); write nothing", flag="--dry-run")
    log_file: Path | None = _run(None, "append one line of JSON per clip to this file")  # noqa: RUF009 - a field

    def __post_init__(self) -> None:
        check_options(self)


NAMED: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "clean": {"sampling": "box", "motion_form": "band", "stabilise": "rigid", "blur": 1.0},
}
"""Recipes that `--recipe` knows by name, as what they change of the defaults, which are the paper's."""


def read_recipe(source: str | Path | None) -> dict[str, Any]:
    """The settings of a named recipe or of a file; none without a source. Those left out keep their defaults.

    Args:
        source: a name in `NAMED`, a cache (.h5), a JSON file of settings, or one that has them under "recipe", such
            as a fingerprint.

    Raises:
        UsageError: there is no recipe of that name and no such file; or the file cannot be read, is no JSON object,
            has an unknown setting or a bad value, or is of another version of the arithmetic.
        InvalidFile: a file named .h5 is no cache.
    """
    if source is None or str(source) in NAMED:
        return dict(NAMED[str(source or "paper")])
    path = Path(source)
    if path.suffix.lower() in (".h5", ".hdf5") and path.is_file():
        from data_cache import CacheReader  # h5py is not needed for anything else in this module

        with CacheReader(path) as reader:
            values: Any = reader.attributes.recipe
    else:
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            known = f"a recipe is {', '.join(NAMED)}, or a file"
            raise UsageError(f"--recipe {path} cannot be read ({error.strerror}); {known}") from error
        except (ValueError, RecursionError) as error:
            raise UsageError(f"--recipe {path} is no JSON file: {error}") from error
        if isinstance(values, dict):
            values = values.get("recipe", values)
    if not isinstance(values, dict):
        raise UsageError(f'--recipe {path} holds no JSON object; expected one such as {{"alpha": 20.0}}')
    recipe = from_mapping(Recipe, values, str(path))
    if recipe.algorithm != ALGORITHM_VERSION:
        raise UsageError(
            f"--recipe {path} is of version {recipe.algorithm} of the arithmetic, and this program computes version "
            f"{ALGORITHM_VERSION}; take the recipe of a cache that this version made"
        )
    return {name: value for name, value in recipe.as_json().items() if name in values}


def cache_path(dataset: str) -> Path:
    """Where a cache goes when nobody says otherwise."""
    return Path("data_cache") / f"{dataset}.h5"


def targets(output: Path, alphas: list[float] | None, given: Mapping[str, Any]) -> dict[Path, Recipe]:
    """Cache path → recipe; with several α, each cache has its α in its name.

    A `UsageError` for the same α twice, α beside a list of gains that leaves it no say, or an output that is a folder.
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it, such as -o {output / 'cache.h5'}")
    recipe = Recipe(**given)
    if not alphas:
        return {output: recipe}
    if recipe.gains not in ("uniform", "evm"):
        raise UsageError(f"--gains {recipe.gains} says the gain of every level, so --alpha has no say; leave it out")
    if len({f"{alpha:g}" for alpha in alphas}) != len(alphas):
        raise UsageError(f"--alpha was given twice with the same value: {alphas}")
    if len(alphas) == 1:
        return {output: recipe.with_alpha(alphas[0])}
    return {output.with_stem(f"{output.stem}-alpha{alpha:g}"): recipe.with_alpha(alpha) for alpha in alphas}
