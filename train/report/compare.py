"""Two runs on the same clips, compared clip by clip and subject by subject; the command `mpt-compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from data_cache.console.commandline import Version, example, make_app, run
from data_cache.errors import UsageError
from train.results.metrics import METRICS, bootstrap_interval, pooled, subject_matrices
from train.results.run_folder import Run, RunFolder

app = make_app(
    "Compare two finished runs clip by clip: McNemar's exact test, and an interval of the difference.\n\n"
    + example("mpt-compare runs/casme2-mpt runs/casme2-head")
)


@dataclass(frozen=True)
class Comparison:
    """How run A fares against run B, paired by clip.

    Attributes:
        runs: names of A and B.
        clips: number of clips.
        only_a: clips that A alone predicts correctly.
        only_b: clips that B alone predicts correctly.
        p_value: of McNemar's exact test, two-sided: the chance of so uneven a split of those clips if
            both runs were equally good.
        difference: metric → A minus B.
        interval_95: metric → 95 % interval of the difference, subjects drawn with replacement.
    """

    runs: tuple[str, str]
    clips: int
    only_a: int
    only_b: int
    p_value: float
    difference: dict[str, float]
    interval_95: dict[str, tuple[float, float]]


def compare_runs(a: Run, b: Run, draws: int = 2000) -> Comparison:
    """Compare the final epochs of two runs.

    Raises:
        UsageError: they were tested on other clips or classes.
    """
    from scipy.stats import binomtest

    if a.classes != b.classes:
        raise UsageError(f"{a.name} has the classes {', '.join(a.classes)}, {b.name} has {', '.join(b.classes)}")
    ours, theirs = ({p.key: p for p in each.predictions} for each in (a, b))
    if set(ours) != set(theirs):
        odd = "/".join(min(set(ours) ^ set(theirs)))
        raise UsageError(
            f"{a.name} and {b.name} were tested on different clips ({len(set(ours) ^ set(theirs))} differ, such as "
            f"{odd}); compare runs of one protocol"
        )
    keys = sorted(ours)
    correct_a, correct_b = (np.array([side[key].correct for key in keys]) for side in (ours, theirs))
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    p_value = float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    true, subjects = [int(ours[key].true or 0) for key in keys], ["/".join(key[:2]) for key in keys]
    matrices = np.stack(
        [
            subject_matrices(true, [side[key].predicted for key in keys], subjects, len(a.classes))
            for side in (ours, theirs)
        ],
        axis=1,
    )  # (subjects, 2, classes, classes)
    difference, intervals = _differences(matrices.sum(0)), bootstrap_interval(matrices, _differences, draws)
    return Comparison((a.name, b.name), len(keys), only_a, only_b, p_value, difference, intervals)


def _differences(matrices: np.ndarray) -> dict[str, float]:
    """The scores of two confusion matrices, (2, classes, classes), the first minus the second."""
    ours, theirs = (pooled(each) for each in matrices)
    return {metric: ours[metric] - theirs[metric] for metric in METRICS}


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a finished run.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another, on the same clips.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    version: Version = None,  # noqa: ARG001 - acts through its callback
) -> None:
    """Test whether RUN_A and RUN_B differ by more than chance."""
    from train.terminal import print_json

    result = compare_runs(RunFolder(run_a).load(), RunFolder(run_b).load())
    if json_output:
        print_json(vars(result))
        return
    a, b = result.runs
    typer.echo(f"{result.clips} clips; only {a} is correct on {result.only_a}, only {b} on {result.only_b}")
    typer.echo(f"McNemar's exact test: p = {result.p_value:.4f}")
    for metric in METRICS:
        low, high = result.interval_95[metric]
        interval = f"(95 % interval over subjects {low:+.1%} to {high:+.1%})"
        typer.echo(f"{metric:<9} {a} − {b}: {result.difference[metric]:+.1%} {interval}")


def main() -> None:
    """Entry point."""
    run(app, "mpt-compare")


if __name__ == "__main__":
    main()
