"""The same run with several seeds: mean and standard deviation."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

METRICS = ("accuracy", "macro_f1", "uar")


def combine_seeds(summaries: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What the final epochs of several seeds have in common.

    Args:
        summaries: of at least two finished runs that differ in their seed only.
        names: of their folders.
    """
    values = {metric: [float(summary["final_epoch"][metric]) for summary in summaries] for metric in METRICS}
    return {
        "runs": list(names),
        "clips": summaries[0]["clips"],
        "subjects": summaries[0]["subjects"],
        **{metric: {"mean": mean(found), "sd": stdev(found), "each": found} for metric, found in values.items()},
    }
