"""What a cache says of its own making: tools, versions, notes, and who may see it."""

import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from data_cache import __version__
from data_cache.console.commandline import typed_command
from preprocess.clip import Clip, ClipError
from preprocess.pipeline import plan_for
from preprocess.recipe import Recipe

_PACKAGES = ("numpy", "scipy", "opencv-python-headless", "h5py")


def provenance(root: Path, notes: Sequence[str], corrections: Sequence[str]) -> dict[str, object]:
    """The `provenance` attribute of caches made from the data set in `root`."""
    return {
        "tool": f"motion-prompt-tuning {__version__}",
        "command": typed_command(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "source_folder": root.name,
        "versions": {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "notes": list(notes),
        "corrections": list(corrections),
    }


def lowered_bands(clips: Sequence[Clip], recipe: Recipe) -> list[str]:
    """A note on the clips whose sampling rate does not allow the recipe's cut-offs."""
    lowered = []
    for clip in clips:
        try:
            plan = plan_for(clip, recipe)
        except ClipError:
            continue  # the clip is going to fail, with this reason
        if plan.band != (recipe.low, recipe.high):
            lowered.append(f"{clip.key}: {plan.rate:.3g} Hz allows {plan.band[0]:.3g}–{plan.band[1]:.3g} Hz")
    if not lowered:
        return []
    shown = "; ".join(lowered[:3]) + ("; …" if len(lowered) > 3 else "")
    return [f"cut-offs lowered to fit the sampling rate in {len(lowered)} clips ({shown})"]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
