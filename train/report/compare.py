"""Two runs on the same clips: is one better than the other, or just luckier?"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from data_cache.errors import UsageError
from train.report.loaded import LoadedRun
from train.results.metrics import confusion_matrix, scores

METRICS = ("accuracy", "macro_f1", "uar")


@dataclass(frozen=True)
class Comparison:
    """How run A fares against run B, paired by clip.

    Attributes:
        runs: names of A and B.
        clips: number of clips.
        only_a: clips that A alone gets right.
        only_b: clips that B alone gets right.
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

    def as_json(self) -> dict[str, Any]:
        """The comparison as a JSON object."""
        return dict(vars(self))


def compare_runs(a: LoadedRun, b: LoadedRun, draws: int = 2000) -> Comparison:
    """Compare the final epochs of two runs.

    Raises:
        UsageError: they were tested on other clips or classes.
    """
    from scipy.stats import binomtest

    if a.classes != b.classes:
        raise UsageError(f"{a.name} has the classes {', '.join(a.classes)}, {b.name} has {', '.join(b.classes)}")
    ours, theirs = ({p.key: p for p in run.predictions} for run in (a, b))
    if set(ours) != set(theirs):
        odd = "/".join(min(set(ours) ^ set(theirs)))
        raise UsageError(
            f"{a.name} and {b.name} were tested on different clips ({len(set(ours) ^ set(theirs))} differ, such as "
            f"{odd}); compare runs of one protocol"
        )
    keys = sorted(ours)
    right_a, right_b = (np.array([run[key].right for key in keys]) for run in (ours, theirs))
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p_value = float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    subjects = sorted({key[:2] for key in keys})
    matrices = np.stack(
        [
            [
                confusion_matrix(
                    [run[key].true for key in keys if key[:2] == subject],
                    [run[key].predicted for key in keys if key[:2] == subject],
                    len(a.classes),
                )
                for subject in subjects
            ]
            for run in (ours, theirs)
        ]
    )  # (2, subjects, classes, classes)
    rng = np.random.default_rng(0)
    drawn = [_differences(matrices[:, rng.integers(len(subjects), size=len(subjects))]) for _ in range(draws)]
    intervals = {
        metric: (float(low), float(high))
        for metric in METRICS
        for low, high in [np.percentile([d[metric] for d in drawn], [2.5, 97.5])]
    }
    return Comparison((a.name, b.name), len(keys), only_a, only_b, p_value, _differences(matrices), intervals)


def _differences(matrices: np.ndarray) -> dict[str, float]:
    ours, theirs = (scores(each.sum(0)) for each in matrices)
    return {metric: float(getattr(ours, metric) - getattr(theirs, metric)) for metric in METRICS}
