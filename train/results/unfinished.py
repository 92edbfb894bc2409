"""Groups of folds that are still in training: one file with the state of each, and a note of who is in which.

All is in `unfinished/` of the run, which goes when the last fold is done. What is damaged there, or belongs to
something else, is said in one line and not used: its folds start again.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from data_cache.digest import canonical_json, digest, digest_arrays
from data_cache.errors import InvalidFile
from data_cache.files.atomic import remove_leftovers, replacing, sync
from train.results.fold_record import read_record, write_record

log = logging.getLogger(__name__)


def write_state(path: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Put `arrays` at `path`, with what they are `about` and a hash of it all.

    Raises:
        OSError, NoSpace, SafetensorError: it cannot be written; what was there before is still there.
    """
    with replacing(path) as temporary:
        save_file(dict(arrays), temporary, {"about": canonical_json(about), "digest": _digest(about, arrays)})
        sync(temporary)


def read_state(path: Path, about: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """What `write_state` put there; None where there is nothing about just this."""
    remove_leftovers(path)
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            card = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        found = json.loads(card["about"])
        if _digest(found, arrays) != card["digest"]:
            raise ValueError("its digest differs")
        if found == about:
            return arrays
        problem = "belongs to other settings or another group of folds"
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"is damaged ({error})"
    log.info(f"{path} {problem}; its folds start again")
    return None


class Groups:
    """Which folds are trained together: noted, so that a run that goes on groups them as it did when it began.

    Args:
        given: the number of folds at once that was asked for, or 0; a note with another is not used.

    Attributes:
        at_once: the number noted; 0 where there is none.
    """

    def __init__(self, path: Path, given: int) -> None:
        self.path, self.at_once = path, 0
        self.noted: list[list[str]] = []
        try:
            record: dict[str, Any] = read_record(path) if path.is_file() else {"folds_at_once": 0, "groups": []}
        except InvalidFile as error:
            log.info(f"{error}; folds are grouped anew")
            return
        if given in (0, record["folds_at_once"]):
            self.at_once, self.noted = record["folds_at_once"], record["groups"]

    def plan(self, waiting: Sequence[str], among: Collection[str], at_once: int) -> list[list[str]]:
        """The groups that hold all of `waiting`: those noted that lie within `among`, and the rest by number."""
        again = [group for group in self.noted if set(group) <= set(among) and not set(group).isdisjoint(waiting)]
        left = [name for name in waiting if not any(name in group for group in again)]
        groups = again + [left[start : start + at_once] for start in range(0, len(left), at_once)]
        others = [group for group in self.noted if not any(name in new for new in groups for name in group)]
        self.at_once, self.noted = at_once, others + groups
        write_record(self.path, {"folds_at_once": at_once, "groups": self.noted})
        return groups


def _digest(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    content = {name: [str(array.dtype), list(array.shape), digest_arrays([array])] for name, array in arrays.items()}
    return digest({"about": about, "content": content})
