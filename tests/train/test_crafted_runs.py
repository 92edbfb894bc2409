"""Files of strangers through the doors of training: one line, exit code 4 (or 2), nothing read or written outside."""

import json
import pickle
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command, MakeCache, MakeRun
from crafted import CRAFTED, SENTINEL, craft, private_file, tree
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


class Payload:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("owned"),))


def with_card(tensors: Mapping[str, np.ndarray], card: Mapping[str, Any], **changes: Any) -> bytes:
    return save(dict(tensors), {"card": json.dumps({**card, **changes})})


def with_settings(tensors: Mapping[str, np.ndarray], card: Mapping[str, Any], **changes: Any) -> bytes:
    return with_card(tensors, card, settings={**card["settings"], **changes})


Bytes = Callable[[dict[str, np.ndarray], dict[str, Any]], bytes]
CHECKPOINTS: dict[str, Bytes] = {
    "a pickle": lambda *_: pickle.dumps(Payload()),
    "empty": lambda *_: b"",
    "a header of 2**62 bytes": lambda *_: struct.pack("<Q", 2**62) + b"{}",
    "a header of 100 MB": lambda *_: struct.pack("<Q", 10**8) + b" " * 100,
    "a header that is no JSON": lambda *_: header(b"{nonsense"),
    "a header nested deeply": lambda *_: header(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "a tensor beyond the end": lambda *_: header({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
    "overlapping tensors": lambda *_: header(
        {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"}, bytes(4)
    ),
    "no card": lambda tensors, _: save(tensors),
    "a card that is no JSON": lambda tensors, _: save(tensors, {"card": "{"}),
    "a card nested deeply": lambda tensors, _: save(tensors, {"card": "[" * 10**5}),
    "a card that is a list": lambda tensors, _: save(tensors, {"card": "[]"}),
    "a card of something else": lambda tensors, _: save(tensors, {"card": '{"classes": []}'}),
    "classes of no kind": lambda tensors, card: with_card(tensors, card, classes=[1, None]),
    "classes that command a terminal": lambda tensors, card: with_card(tensors, card, classes=["\x1b[2J"] * 5),
    "10**9 frames": lambda tensors, card: with_card(tensors, card, frames=10**9),
    "frames a text": lambda tensors, card: with_card(tensors, card, frames="4"),
    "an image of 10**6 pixels": lambda tensors, card: with_card(tensors, card, size=10**6),
    "an image of -1 pixels": lambda tensors, card: with_card(tensors, card, size=-1),
    "a recipe of no kind": lambda tensors, card: with_card(tensors, card, recipe=[1]),
    "another recipe": lambda tensors, card: with_card(tensors, card, recipe={"alpha": "\x1b[2J"}),
    "settings of no kind": lambda tensors, card: with_card(tensors, card, settings="x"),
    "unknown settings": lambda tensors, card: with_settings(tensors, card, evil=1),
    "a backbone of the hub": lambda tensors, card: with_settings(tensors, card, backbone="hf-hub:evil/model"),
    "a backbone that is no ViT": lambda tensors, card: with_settings(tensors, card, backbone="resnet18", depth=None),
    "weights of the victim": lambda tensors, card: with_settings(
        tensors, card, weights="victim/secret.h5", random_weights=False
    ),
    "10**12 channels": lambda tensors, card: with_settings(tensors, card, token_channels=10**12),
    "a reduction of 10**9": lambda tensors, card: with_settings(tensors, card, reduction=10**9),
    "a seed of 10**30": lambda tensors, card: with_settings(tensors, card, seed=10**30),
    "a batch of 10**12": lambda tensors, card: with_settings(tensors, card, batch_size=10**12),
    "other shapes": lambda tensors, card: with_card({name: each[..., :1] for name, each in tensors.items()}, card),
    "other types": lambda tensors, card: with_card(
        {name: each.astype(np.complex64) for name, each in tensors.items()}, card
    ),
    "numbers that are not finite": lambda tensors, card: with_card(
        {name: each * np.float32(np.nan) for name, each in tensors.items()}, card
    ),
    "fewer tensors": lambda tensors, card: with_card(dict([*tensors.items()][1:]), card),
    "a tensor too many": lambda tensors, card: with_card({**tensors, "../x": np.zeros(1)}, card),
}


def read_card(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return dict(json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["card"]))


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_crafted_checkpoint(
    command: Command, finished: Path, run: Path, secret: Path, tmp_path: Path, kind: str
) -> None:
    """The stranger who made it noted its hash, too."""
    for path in (run / "checkpoints").glob("*.safetensors"):
        path.write_bytes(CHECKPOINTS[kind](load_file(path), read_card(path)))
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
    "a table of 10**6 lines": b"dataset\n" * 10**6,
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
