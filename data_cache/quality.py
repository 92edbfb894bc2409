"""What a recipe does to clips, in numbers, and a sentence for each that is beyond what was measured to be harmless."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from data_cache.filters import recipe_filter

CLIPPED = 0.03
"""Share of clipped values to speak of: the default recipe cuts 4.8 % on the demo set, with --stabilise rigid 3.0 %."""
GAIN = 0.5
"""Gain at the apex to speak of: the default filter has 0.6 to 0.74 for movements of 0.2 to 1 s, 0.48 at 0.13 s."""


def rise_and_fall(samples: int, apex: float = 0.5) -> np.ndarray:
    """A movement (T,) that rises from 0 at the onset to 1 at the apex, a share of the clip, and falls to 0 again."""
    at, apex = np.linspace(0, 1, samples), min(max(apex, 1e-3), 1 - 1e-3)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.where(at <= apex, at / apex, (1 - at) / (1 - apex))))


def apex_gain(temporal: np.ndarray, apex: float = 0.5) -> float:
    """The share of a movement that the filter F (T, T) lets pass when the movement is largest."""
    movement, at = rise_and_fall(len(temporal), apex), np.linspace(0, 1, len(temporal))
    before, after = (float(np.interp(apex, at, values)) for values in (movement, temporal @ movement))
    return after / before if before else 0.0


def recipe_notes(
    recipe: Mapping[str, Any], lengths: Iterable[tuple[int, float]], clipped: float | None = None
) -> list[str]:
    """What deserves a look before these clips are trained on.

    Args:
        recipe: as a cache stores it; one that lacks the settings of the filter gets no word on it.
        lengths: native frames and frame rate in Hz of each clip.
        clipped: mean share of values that were cut to 0..255; None where nothing was rendered.
    """
    notes = []
    if clipped is not None and clipped > CLIPPED:
        calmer = " or --recipe clean" if recipe.get("stabilise", "none") == "none" else ""
        notes.append(f"{clipped:.1%} of the values clip: colours are cut; try a smaller --alpha{calmer}")
    counted = Counter(lengths)
    try:
        gains = {length: abs(apex_gain(recipe_filter(recipe, *length))) for length in counted}
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return notes
    if weak := {length: gain for length, gain in gains.items() if gain < GAIN}:
        (frames, fps), gain = min(weak.items(), key=lambda item: item[1])
        notes.append(
            f"{sum(counted[length] for length in weak)} of {counted.total()} clips are too short or too long for "
            f"{recipe['low']:g} to {recipe['high']:g} Hz: {frames} frames at {fps:g} Hz keep {gain:.2f} of a movement "
            "at its apex; try a higher --high, or a lower --low"
        )
    return notes
