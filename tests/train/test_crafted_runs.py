"""Files of strangers through the doors of training: one line, exit code 4 (or 2), nothing read or written outside."""

import json
import pickle
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command, MakeCache, MakeRun
from crafted import CRAFTED, SENTINEL, craft, private_file, tree
from safetensors import safe_open
from safetensors.numpy import load_file, save
from tiny_runs import QUICK

from data_cache.digest import digest
from data_cache.files.atomic import file_sha256

SUBJECTS = {"s1": 4, "s2": 5}
SOME = [kind if number % 15 == 0 else pytest.param(kind, marks=pytest.mark.slow) for number, kind in enumerate(CRAFTED)]


@pytest.fixture(scope="module")
def finished(make_cache: MakeCache, make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    cache = make_cache(folder / "sound.h5", SUBJECTS, size=32, frames=4)
    make_run(folder, "mpt-train", "--cache", cache, *QUICK, "--epochs", 1, "--name", "run")
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished / "runs/run", tmp_path / "run"))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return private_file(tmp_path / "victim")


def refused(command: Command, folder: Path, *typed: object) -> str:
    """Type a command; it must be refused in one clear line and leave `folder` as it was."""
    before = tree(folder)
    done = command(*typed)
    said = done.out + done.err
    assert done.code in (2, 4), f"{typed}: {done.code} {said}"
    assert "Traceback" not in said and SENTINEL not in said and "\x1b" not in said and len(said) < 4000, said
    assert len([line for line in done.err.splitlines() if line.startswith("mpt-")]) == 1, said
    assert tree(folder) == before
    return str(done.err)


@pytest.mark.parametrize("kind", SOME)
def test_a_crafted_cache_through_every_door(
    command: Command, finished: Path, run: Path, secret: Path, tmp_path: Path, kind: str
) -> None:
    copy = Path(shutil.copy(finished / "sound.h5", tmp_path / "copy.h5"))
    craft(copy, CRAFTED[kind], secret)
    for typed in (
        ("mpt-train", "--cache", copy, *QUICK),
        ("mpt-train", "--cache", copy, *QUICK, "--dry-run"),
        ("mpt-train", "--cache", copy, *QUICK, "--study", "alpha"),
        ("mpt-predict", copy, "--run", run, "--device", "cpu"),
        ("mpt-report", run, "--cache", copy),
        ("mpt-cache", "explore", copy),
        ("mpt-cache", "merge", copy, copy, "-o", "m.h5"),
        ("mpt-cache", "info", copy.as_uri()),
    ):
        refused(command, tmp_path, *typed)


def header(value: Any, data: bytes = b"") -> bytes:
    text = json.dumps(value).encode() if not isinstance(value, bytes) else value
    return struct.pack("<Q", len(text)) + text + data


Tensors = dict[str, np.ndarray]


class Payload:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("owned"),))


RAW = {
    "a pickle": pickle.dumps(Payload()),
    "empty": b"",
    "a header of 2**62 bytes": struct.pack("<Q", 2**62) + b"{}",
    "a header of 100 MB": struct.pack("<Q", 10**8) + b" " * 100,
    "a header that is no JSON": header(b"{nonsense"),
    "a header nested deeply": header(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "a tensor beyond the end": header({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
    "overlapping tensors": header({x: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for x in "ab"}, bytes(4)),
}
CARDS: dict[str, dict[str, str]] = {
    "no card": {},
    "a card that is no JSON": {"card": "{"},
    "a card nested deeply": {"card": "[" * 10**5},
    "a card that is a list": {"card": "[]"},
    "a card of something else": {"card": '{"classes": []}'},
}
CHANGES: dict[str, dict[str, Any]] = {
    "classes of no kind": {"classes": [1, None]},
    "classes that command a terminal": {"classes": ["\x1b[2J"] * 5},
    "10**9 frames": {"frames": 10**9},
    "frames a text": {"frames": "4"},
    "an image of 10**6 pixels": {"size": 10**6},
    "an image of -1 pixels": {"size": -1},
    "a recipe of no kind": {"recipe": [1]},
    "another recipe": {"recipe": {"alpha": "\x1b[2J"}},
    "settings of no kind": {"settings": "x"},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "unknown settings": {"evil": 1},
    "a backbone of the hub": {"backbone": "hf-hub:evil/model"},
    "a backbone that is no ViT": {"backbone": "resnet18", "depth": None},
    "weights of the victim": {"weights": "victim/secret.h5", "random_weights": False},
    "10**12 channels": {"token_channels": 10**12},
    "a reduction of 10**9": {"reduction": 10**9},
    "a seed of 10**30": {"seed": 10**30},
    "a batch of 10**12": {"batch_size": 10**12},
}
TENSORS: dict[str, Callable[[Tensors], Tensors]] = {
    "other shapes": lambda tensors: {name: each[..., :1] for name, each in tensors.items()},
    "other types": lambda tensors: {name: each.astype(np.complex64) for name, each in tensors.items()},
    "numbers that are not finite": lambda tensors: {name: each * np.float32("nan") for name, each in tensors.items()},
    "fewer tensors": lambda tensors: dict([*tensors.items()][1:]),
    "a tensor too many": lambda tensors: {**tensors, "../x": np.zeros(1)},
}


def crafted(kind: str, path: Path) -> bytes:
    """What a stranger makes of the checkpoint at `path`."""
    if kind in RAW:
        return RAW[kind]
    tensors = load_file(path)
    if kind in CARDS:
        return save(tensors, CARDS[kind])
    with safe_open(path, "np") as file:
        card = json.loads(file.metadata()["card"])
    card |= CHANGES.get(kind, {}) | ({"settings": card["settings"] | SETTINGS[kind]} if kind in SETTINGS else {})
    return save(TENSORS[kind](tensors) if kind in TENSORS else tensors, {"card": json.dumps(card)})


@pytest.mark.parametrize("kind", [*RAW, *CARDS, *CHANGES, *SETTINGS, *TENSORS])
def test_a_crafted_checkpoint(
    command: Command, finished: Path, run: Path, secret: Path, tmp_path: Path, kind: str
) -> None:
    """The stranger who made it noted its hash, too."""
    for path in (run / "checkpoints").glob("*.safetensors"):
        path.write_bytes(crafted(kind, path))
        record = run / "folds" / f"{path.stem}.json"
        rewrite(
            record, lambda values, path=path: values["sha256"].update({f"checkpoints/{path.name}": file_sha256(path)})
        )
    refused(command, tmp_path, "mpt-predict", finished / "sound.h5", "--run", run, "--device", "cpu")
    assert not list(tmp_path.rglob("owned"))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a record, and its digest with it."""
    values = json.loads(path.read_text())
    values.pop("digest", None)
    change(values)
    path.write_text(
        json.dumps({**values, "digest": digest(values)}) if isinstance(values, dict) else json.dumps(values)
    )


def places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a JSON object are, those of long lists by their first one."""
    inside = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for name, part in inside:
        yield (*where, name)
        yield from places(part, (*where, name))


VALUES: tuple[Any, ...] = (None, [], {}, "\x1b[2J../x", -1, 10**40, [[]], True, {"a": {"b": []}}, [None, "x"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "summary.json", "env.json", "folds/demo__s1.json"])
def test_a_crafted_record(command: Command, finished: Path, run: Path, tmp_path: Path, name: str) -> None:
    """Any value replaced by one of another kind: refused, or of no consequence."""
    other, original = shutil.copytree(run, tmp_path / "other"), (run / name).read_bytes()
    accepted = 0
    for number, place in enumerate(places(json.loads(original))):

        def change(values: Any, place: tuple[Any, ...] = place, number: int = number) -> None:
            for part in place[:-1]:
                values = values[part]
            values[place[-1]] = VALUES[number % len(VALUES)]

        (run / name).write_bytes(original)
        rewrite(run / name, change)
        outcomes = [command("mpt-compare", run, other)]
        outcomes.append(command("mpt-predict", finished / "sound.h5", "--run", run, "--device", "cpu", "--fold", "s2"))
        accepted += outcomes[0].code == 0
        if outcomes[0].code == 0 and accepted % 5 == 1:
            outcomes.append(command("mpt-report", run, "--no-images"))
        for done in outcomes:
            assert done.code in (0, 2, 4), f"{place}: {done.code} {done.err}"
            assert "Traceback" not in done.out + done.err and "\x1b" not in done.out + done.err, done.err
        assert {path.name for path in tmp_path.iterdir()} <= {"run", "other", "predictions"}


CSV = {
    "empty": b"",
    "no header": b"1,2,3\n",
    "no UTF-8": b"\xff\xfe,\x00\n",
    "a field of 200 kB": b"dataset," + b"x" * 200_000 + b"\n",
    "an unknown class": b"dataset,subject,clip,true,predicted\nd,s,c,evil,evil\n",
    "an unclosed quote": b'dataset,subject,"clip\n' * 3,
    "a NUL": b"dataset,subject,clip\0,true\n",
    "a formula": b"dataset,subject,clip,true,predicted,{logits}\n=1+1,s1,c,disgust,disgust,{zeros}\n",
    "a name that turns text": "dataset,subject,clip,true,predicted,{logits}\n"
    "d,a\u202eb,c,disgust,disgust,{zeros}\n".encode(),
    "no rows": b"dataset,subject,clip,true,predicted,logit_disgust\n",
    "a table of 10**5 lines": b"dataset\n" * 10**5,
}
TRACES: dict[str, bytes] = {
    "none at all": save({}),
    "of other shapes": save({"features": np.zeros((1, 0), "f4"), "mu": np.zeros(3), "sigma": np.zeros((9, 9, 9))}),
    "of other types": save(
        {"features": np.zeros(5, "bool"), "mu": np.zeros((4, 2), "i8"), "sigma": np.zeros((4, 2), "i8")}
    ),
    "not finite": save(
        {"features": np.full((4, 24), np.nan), "mu": np.full((4, 2), np.inf), "sigma": np.zeros((4, 2))}
    ),
    "a pickle": pickle.dumps(Payload()),
}


@pytest.mark.parametrize("kind", [*CSV, *TRACES])
def test_a_crafted_table_or_trace(command: Command, run: Path, tmp_path: Path, kind: str) -> None:
    record, suffix = run / "folds/demo__s1.json", ".csv" if kind in CSV else ".safetensors"
    path = record.with_suffix(suffix)
    classes = json.loads((run / "config.json").read_text())["classes"]
    columns = {b"{logits}": ",".join(f"logit_{name}" for name in classes), b"{zeros}": ",".join("0" for _ in classes)}
    data = (CSV | TRACES)[kind]
    for place, text in columns.items() if kind in CSV else ():
        data = data.replace(place, text.encode())
    path.write_bytes(data)
    rewrite(record, lambda values: values["sha256"].update({f"folds/{path.name}": file_sha256(path)}))
    done = command("mpt-compare", run, run)
    assert done.code == 4 and len(done.err.splitlines()) == 1, done.err
    assert not list(tmp_path.rglob("owned"))
