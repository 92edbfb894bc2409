"""Two runs on the same clips, or the seeds of two, compared clip by clip and subject by subject; `mpt-compare`."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from data_cache.console.commandline import Version, example, make_app, print_json, run
from data_cache.digest import changes
from data_cache.errors import UsageError
from data_cache.names import natural_key
from train.results.metrics import METRICS, bootstrap_interval, mean_pooled, p_text, sign_flip_p
from train.results.run_folder import Run, RunFolder
from train.results.summary import interval_name

app = make_app(
    "Compare two finished runs, or the seeds of two, on the same clips: a sign-flip test over subjects, McNemar's "
    "exact test over clips, and an interval of the difference.\n\n"
    + example("mpt-compare runs/casme2-mpt runs/casme2-head")
)


@dataclass(frozen=True)
class Comparison:
    """How side A fares against side B, paired by clip; a side is a run, or one for each of several seeds.

    Attributes:
        only_a: clips that A alone predicts correctly; with several seeds, that more of its seeds do. `only_b` likewise.
        p_value: of McNemar's exact test, two-sided: the chance of so uneven a split of those clips if
            both sides were equally good and clips independent of each other.
        sign_flip_p: of the test that takes subjects as independent, and not clips: `metrics.sign_flip_p`.
        difference: metric → A minus B; means over seeds.
        interval_95: metric → 95 % interval of the difference, subjects drawn with replacement.
        only_seed_differs: whether the two sides have the same settings but for the seed.
    """

    runs: tuple[str, str]
    clips: int
    subjects: int
    only_a: int
    only_b: int
    p_value: float
    sign_flip_p: float
    difference: dict[str, float]
    interval_95: dict[str, tuple[float, float]]
    only_seed_differs: bool

    @property
    def lines(self) -> list[str]:
        """The result in words."""
        a, b = self.runs
        often = " more often" if "seeds)" in a + b else ""
        lines = [
            f"{self.clips} clips; only {a} is correct{often} on {self.only_a}, only {b} on {self.only_b}",
            f"sign-flip test over {self.subjects} subjects: p {p_text(self.sign_flip_p)}",
            f"McNemar's exact test, as if clips were independent: p {p_text(self.p_value)}",
        ]
        for metric, (low, high) in self.interval_95.items():
            interval = f"({interval_name(self.subjects)} over subjects {100 * low:+.1f} to {100 * high:+.1f})"
            lines.append(f"{metric:<9} {a} − {b}: {100 * self.difference[metric]:+.1f} points {interval}")
        seed = "Only the seed differs between the two sides: the difference says how much a seed moves the scores, and "
        return [*lines, *([f"{seed}nothing about a method."] if self.only_seed_differs else [])]


def compare_runs(a: Sequence[Run], b: Sequence[Run]) -> Comparison:
    """Compare the final epochs of two sides, of a run or several seeds each.

    A UsageError if they were tested on other clips or classes, or a side's runs differ in more than the seed.
    """
    from scipy.stats import binomtest

    runs = [*a, *b]
    tested = [{p.key: p for p in each.predictions} for each in runs]
    for each, clips in zip(runs[1:], tested[1:], strict=True):
        if each.classes != runs[0].classes:
            named = (f"{run.name} has the classes {', '.join(run.classes)}" for run in (runs[0], each))
            raise UsageError(f"{', '.join(named)}; compare runs of one protocol")
        if odd := set(tested[0]) ^ set(clips):
            such = f"{len(odd)} differ, such as {'/'.join(min(odd))}); compare runs of one protocol"
            raise UsageError(f"{runs[0].name} and {each.name} were tested on different clips ({such}")
    for side in (a, b):
        if differing := [text for other in side[1:] for text in _differing(side[0], other)]:
            raise UsageError(f"the runs of {_title(side)} differ in more than the seed ({differing[0]})")
    keys = sorted(tested[0])
    subjects, rows = np.unique(["/".join(key[:2]) for key in keys], return_inverse=True)
    right = np.array([[each[key].correct for key in keys] for each in tested], float)  # (runs, clips)
    gain = right[: len(a)].mean(0) - right[len(a) :].mean(0)
    only_a, only_b = int((gain > 0).sum()), int((gain < 0).sum())
    matrices = np.stack([each.subject_matrices for each in runs], 1)  # (subjects, runs, classes, classes)

    def differences(summed: np.ndarray) -> dict[str, float]:
        ours, theirs = mean_pooled(summed[: len(a)]), mean_pooled(summed[len(a) :])
        return {metric: ours[metric] - theirs[metric] for metric in METRICS}

    return Comparison(
        runs=(_title(a), _title(b)),
        clips=len(keys),
        subjects=len(subjects),
        only_a=only_a,
        only_b=only_b,
        p_value=float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0,
        sign_flip_p=sign_flip_p(np.bincount(rows, gain)),
        difference=differences(matrices.sum(0)),
        interval_95=bootstrap_interval(matrices, differences),
        only_seed_differs=not _differing(a[0], b[0]),
    )


def _differing(a: Run, b: Run) -> list[str]:
    """In what two runs differ, but for the seed and what follows from it: the weights of a random backbone."""

    def decided(config: dict[str, Any]) -> dict[str, Any]:
        settings = {**config.get("settings", {}), "seed": None}
        weights = None if settings.get("random_weights") else config.get("backbone_digest")
        return {**config, "settings": settings, "backbone_digest": weights}

    return changes(decided(a.config), decided(b.config))


def _title(side: Sequence[Run]) -> str:
    """Name of a run, or of several, which often differ in what follows "-seed"."""
    name = side[0].name
    return name if len(side) == 1 else f"{name.partition('-seed')[0]} ({len(side)} seeds)"


@app.command()
def compare(
    run_a: Annotated[
        str,
        typer.Argument(
            metavar="RUN_A",
            help="Folder of a finished run; several with commas between, or the name that --seeds gave them.",
        ),
    ],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="Likewise, on the same clips.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    version: Version = None,  # noqa: ARG001 - acts through its callback
) -> None:
    """Test whether RUN_A and RUN_B differ by more than chance."""
    result = compare_runs(_load_side(run_a), _load_side(run_b))
    print_json(vars(result)) if json_output else typer.echo("\n".join(result.lines))


def _load_side(text: str) -> list[Run]:
    """The run in a folder, the runs in several, or, where there is none, its seeds `<text>-seed0`, `-seed1`, …."""
    found = []
    for part in [text] if Path(text).exists() else text.split(","):
        path = Path(part)
        seeds = [] if path.exists() else path.parent.glob(f"{glob.escape(path.name)}-seed[0-9]*")
        found += [RunFolder(each).load() for each in sorted(seeds, key=lambda seed: natural_key(seed.name)) or [path]]
    return found


def main() -> None:
    """Entry point."""
    run(app, "mpt-compare")


if __name__ == "__main__":
    main()
