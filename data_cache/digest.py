"""Canonical JSON and SHA-256: the one way in which recipes, sources and clips get their names."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces: equal values give equal text. NaN is a ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hex digits."""
    # File names that are no UTF-8 (old archives have them) come as lone surrogates, which must not stop a build.
    return hashlib.sha256(canonical_json(value).encode(errors="backslashreplace")).hexdigest()


def digest_arrays(arrays: Iterable["np.ndarray"]) -> str:
    """SHA-256 over the bytes of C-ordered `arrays`, one after the other, as 64 hex digits."""
    from numpy import ascontiguousarray  # not above: every --help imports this module

    state = hashlib.sha256()
    for array in arrays:
        state.update(ascontiguousarray(array).data)
    return state.hexdigest()


def changes(before: Mapping[str, Any], after: Mapping[str, Any], within: str = "") -> list[str]:
    """What differs between two sets of named values, as `alpha 10 → 20`; sets within sets as `settings.lr 1 → 2`."""
    found = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changes(old, new, f"{within}{name}.")
        elif old != new:
            found.append(f"{within}{name} {old} → {new}")
    return found
