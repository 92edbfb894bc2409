"""Which protocol a run or a check goes by: a published one by its name, a file, or the usual one of its data sets."""

import logging
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from data_cache.protocols.protocol import ClipKey, Composition, Protocol
from data_cache.protocols.published import PROTOCOLS

log = logging.getLogger(__name__)

_KEYS = ("name", "classes", "emotions", "expected", "excluded")
SAME_PERSONS = {"smic", "smic-vis", "smic-nir"}
"""Data sets that show the same persons under the same names: together, a test subject would be trained on."""


def choose_protocol(name: str | None, datasets: Sequence[str], emotions: Sequence[str]) -> Protocol:
    """The protocol called `name`, or the usual one for `datasets`.

    That is the first of `PROTOCOLS` for just these; where there is none, each raw emotion is a class ("as-labelled").
    A name that ends in .toml is a file with a mapping of one's own (`read_protocol`).

    Raises:
        UsageError: no such protocol, it says nothing about one of the data sets, or two of them show the same persons.
    """
    distinct = sorted(set(datasets))
    if len(both := sorted(SAME_PERSONS & set(distinct))) > 1:
        raise UsageError(f"{' and '.join(both)} show the same persons, who would be trained and tested on; take one")
    if name is None:
        name = next((each.name for each in PROTOCOLS.values() if sorted(each.emotions) == distinct), "as-labelled")
    if name == "as-labelled":
        classes = tuple(sorted({emotion for emotion in emotions if emotion}))
        if {"other", "others"} <= set(classes):
            log.info("note: other and others are two classes here; a protocol of your own (FILE.toml) can join them")
        return Protocol(name, classes, {"*": {emotion: emotion for emotion in classes}})
    if name.lower().endswith(".toml"):
        protocol = read_protocol(Path(name))
    elif name in PROTOCOLS:
        protocol = PROTOCOLS[name]
    else:
        raise UsageError(
            f"no protocol {name!r}; choose one of {', '.join([*PROTOCOLS, 'as-labelled'])}, or name a file (FILE.toml)"
        )
    for dataset in distinct:
        if not protocol.covers(dataset):
            raise UsageError(
                f"protocol {protocol.name} says nothing about data set {dataset!r} (it covers "
                f"{', '.join(protocol.emotions)}); pass another --protocol, such as as-labelled"
            )
    return protocol


def read_protocol(path: Path) -> Protocol:
    """The protocol that a TOML file describes; its name is the file's unless it gives one.

        classes = ["negative", "positive"]

        [emotions.casme2]            # one table per data set; [emotions."*"] holds for any
        happiness = "positive"
        disgust = "negative"

        [expected.casme2]            # optional: clips per class of the full set, to be checked
        negative = 64
        positive = 32

        [excluded]                   # optional: clips left out, each with its reason
        "casme2/sub05/EP09_05f" = "onset equals apex"

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
    used = {f"emotions.{dataset}": list(mapping.values()) for dataset, mapping in emotions.items()}
    used |= {f"expected.{dataset}": list(counts) for dataset, counts in expected.items()}
    for table, names in used.items():
        if strange := [name for name in names if name not in classes]:
            raise UsageError(f"{path}, [{table}]: {strange[0]!r} is no class; classes are {', '.join(classes)}")
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


def _clip_key(path: Path, text: str) -> ClipKey:
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise UsageError(f"{path}, [excluded]: {text!r}; expected 'dataset/subject/clip'")
    return parts[0], parts[1], parts[2]
