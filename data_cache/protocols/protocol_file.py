"""A protocol of one's own, from a TOML file: which raw emotions go into which class.

classes = ["negative", "positive"]

[emotions.casme2]            # one table per data set; [emotions."*"] holds for any
happiness = "positive"
disgust = "negative"

[expected.casme2]            # optional: clips per class of the full set, to be checked
negative = 64
positive = 32

[excluded]                   # optional: clips left out, each with its reason
"casme2/sub05/EP09_05f" = "onset equals apex"
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from data_cache.protocols.protocol import ClipKey, Composition, Protocol

_KEYS = ("name", "classes", "emotions", "expected", "excluded")


def read_protocol(path: Path) -> Protocol:
    """The protocol that a TOML file describes; its name is the file's unless it gives one.

    Raises:
        UsageError: the file is missing or no TOML, has unknown keys, or maps to a class that it does not list.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the protocol {path} cannot be read as TOML: {error}") from error
    unknown = sorted(set(values) - set(_KEYS))
    if unknown:
        raise UsageError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    classes = values.get("classes")
    names = [name for name in classes if isinstance(name, str) and name] if isinstance(classes, list) else []
    if names != classes or len(set(names)) != len(names) or len(names) < 2:
        raise UsageError(f"{path}: classes is {classes!r}; expected a list of two or more different names")
    emotions = _tables(path, values, "emotions", str)
    expected = _tables(path, values, "expected", int)
    if not emotions:
        raise UsageError(f"{path} has no [emotions.<data set>]; map raw emotions to classes there")
    for dataset, mapping in emotions.items():
        _check_classes(path, f"[emotions.{dataset}]", mapping.values(), classes)
    for dataset, counts in expected.items():
        _check_classes(path, f"[expected.{dataset}]", counts, classes)
    return Protocol(
        name=str(values.get("name", path.stem)),
        classes=tuple(classes),
        emotions={
            dataset: {emotion.lower(): name for emotion, name in mapping.items()}
            for dataset, mapping in emotions.items()
        },
        composition={dataset: Composition(counts) for dataset, counts in expected.items()},
        excluded={_clip_key(path, text): str(why) for text, why in _table(path, values, "excluded", str).items()},
    )


def _tables(path: Path, values: Mapping[str, Any], name: str, kind: type) -> dict[str, dict[str, Any]]:
    tables = _table(path, values, name, dict)
    return {dataset: _table(path, tables, dataset, kind) for dataset in tables}


def _table(path: Path, values: Mapping[str, Any], name: str, kind: type) -> dict[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict) or not all(isinstance(value, kind) for value in table.values()):
        raise UsageError(f"{path}: {name} is {table!r}; expected a table of {kind.__name__} values")
    return table


def _check_classes(path: Path, where: str, names: Any, classes: list[str]) -> None:
    for name in names:
        if name not in classes:
            raise UsageError(f"{path}, {where}: {name!r} is no class; classes are {', '.join(classes)}")


def _clip_key(path: Path, text: str) -> ClipKey:
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise UsageError(f"{path}, [excluded]: {text!r}; expected 'dataset/subject/clip'")
    return parts[0], parts[1], parts[2]
