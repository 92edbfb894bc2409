"""Caches as a stranger might craft them: each is a valid cache but for one thing that must never be believed."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from data_cache.digest import digest
from data_cache.schema import FIELDS

SENTINEL = "precious-and-private"
"""What the file beside a crafted cache holds; no output may ever show it."""
CLIPS, FRAMES, SIZE = 9, 4, 24
MOTION = (CLIPS, FRAMES, SIZE, SIZE, 3)

Change = Callable[[h5py.File, Path], object]


def instead(path: str, make: Change) -> Change:
    """Something else in the place of `path`."""

    def change(file: h5py.File, secret: Path) -> None:
        del file[path]
        make(file, secret)

    return change


def replaced(path: str, **made: object) -> Change:
    """Another data set."""
    return instead(path, lambda file, _: file.create_dataset(path, **made))


def linked(path: str, make: Callable[[Path], object]) -> Change:
    return instead(path, lambda file, secret: file.__setitem__(path, make(secret)))


def leading_out(path: str) -> Change:
    """A link into the victim's file."""
    return linked(path, lambda secret: h5py.ExternalLink(str(secret), "/data"))


def external(path: str, kind: object, shape: tuple[int, ...], size: int = 2**40) -> Change:
    """A data set whose values lie in the victim's file."""
    return instead(path, lambda f, secret: f.create_dataset(path, shape, kind, external=[(str(secret), 0, size)]))


def virtual(path: str, kind: object, shape: tuple[int, ...]) -> Change:
    """A data set that is a view of one in another file."""

    def make(file: h5py.File, secret: Path) -> None:
        layout = h5py.VirtualLayout(shape, kind)
        layout[...] = h5py.VirtualSource(str(secret), "data", shape, kind)
        file.create_virtual_dataset(path, layout)

    return instead(path, make)


def filtered(number: int) -> Change:
    """Pixels behind a filter that stock HDF5 lacks, marked as optional so that it can be written."""

    def make(file: h5py.File, _: Path) -> None:
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_chunk((1, *MOTION[1:]))
        properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (1,))
        made = h5d.create(file.id, b"motion", h5t.STD_U8LE, h5s.create_simple(MOTION), properties)
        for row in range(CLIPS):
            made.write_direct_chunk((row, 0, 0, 0, 0), bytes(int(np.prod(MOTION[1:]))), 1)

    return instead("motion", make)


def compact(file: h5py.File, _: Path) -> None:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_layout(h5d.COMPACT)
    made = h5d.create(file.id, b"clips/fps", h5t.IEEE_F32LE, h5s.create_simple((CLIPS,)), properties)
    made.write(h5s.ALL, h5s.ALL, np.full(CLIPS, 100, "f4"))


def huge(clips: int) -> Change:
    """Rows that the file cannot hold."""

    def change(file: h5py.File, _: Path) -> None:
        for field in FIELDS:
            shape, kind, chunks = file[field.path].shape[1:], file[field.path].dtype, file[field.path].chunks
            del file[field.path]
            file.create_dataset(field.path, (clips, *shape), kind, chunks=chunks, maxshape=(None, *shape))

    return change


def enormous_clips(file: h5py.File, _: Path) -> None:
    """Consistent in itself: the recipe, the shapes and the digest all say 30,000 × 30,000."""
    recipe = {**json.loads(file.attrs["recipe"]), "size": 30_000}
    file.attrs["recipe"], file.attrs["recipe_digest"] = json.dumps(recipe), digest(recipe)
    image = (30_000, 30_000, 3)
    for path, shape in (("dynamic_image", image), ("motion", (FRAMES, *image)), ("onset_frame", image)):
        del file[path]
        chunks = (1, *shape) if np.prod(shape) < 2**32 else (1, 1, *shape[1:])
        file.create_dataset(path, (CLIPS, *shape), "u1", chunks=chunks, compression="gzip")


def attribute(name: str, value: object) -> Change:
    return lambda file, _: file.attrs.__setitem__(name, value)


def recipe(**changes: object) -> Change:
    """Another recipe, whose digest fits."""

    def change(file: h5py.File, _: Path) -> None:
        made = {**json.loads(file.attrs["recipe"]), **changes}
        file.attrs["recipe"], file.attrs["recipe_digest"] = json.dumps(made), digest(made)

    return change


def cell(column: str, value: bytes | float) -> Change:
    return lambda file, _: file[f"clips/{column}"].__setitem__(2, value)


TEXT = h5py.string_dtype("utf-8", 64)
NAMES = {
    "parent": b"../../../tmp/x",
    "absolute": b"/tmp/x",
    "backslash": b"a\\b",
    "dots": b"..",
    "dot": b".",
    "empty": b"",
    "blank": b"   ",
    "escape": b"\x1b[2J\x1b]0;owned\x07",
    "newline": b"a\nmpt-cache: all is well",
    "return": b"a\rb",
    "nul": b"a\0b",
    "c1": "a\x9b31m".encode(),
    "right to left": "a\u202egnp".encode(),
    "no utf-8": b"\xff\xfe\xc0",
    "surrogate": b"\xed\xa0\x80",
    "formula": b'=HYPERLINK("http://x")',
    "plus formula": b"+cmd|' /C calc'!A0",
    "at formula": b"@SUM(A1:A9)",
}

CRAFTED: dict[str, Change] = {
    **{f"subject {kind}": cell("subject", name) for kind, name in NAMES.items()},
    **{
        f"clip {kind}": cell("clip", NAMES[kind])
        for kind in ("parent", "absolute", "escape", "newline", "empty", "nul")
    },
    **{f"emotion {kind}": cell("emotion", NAMES[kind]) for kind in ("escape", "newline", "formula", "no utf-8", "nul")},
    **{f"dataset {x}": attribute("dataset", NAMES[x].decode()) for x in ("parent", "absolute", "escape", "empty")},
    "subject external": external("clips/subject", TEXT, (CLIPS,)),
    "emotion external": external("clips/emotion", TEXT, (CLIPS,)),
    "motion external": external("motion", "u1", MOTION),
    "onset external": external("clips/onset", "i4", (CLIPS,), 36),
    "licence external link": leading_out("clips/emotion"),
    "motion external link": leading_out("motion"),
    "group external link": linked("clips", lambda secret: h5py.ExternalLink(str(secret), "/clips")),
    "subject soft link": linked("clips/subject", lambda _: h5py.SoftLink("/clips/clip")),
    "group soft link": linked("clips", lambda _: h5py.SoftLink("/elsewhere")),
    "dangling soft link": linked("motion", lambda _: h5py.SoftLink("/nowhere")),
    "link to itself": linked("motion", lambda _: h5py.SoftLink("/motion")),
    "subject virtual": virtual("clips/subject", TEXT, (CLIPS,)),
    "motion virtual": virtual("motion", "u1", MOTION),
    "foreign filter": filtered(32_000),
    "reserved filter": filtered(307),
    "onset frame external link": leading_out("onset_frame"),
    "onset frame soft link": linked("onset_frame", lambda _: h5py.SoftLink("/nowhere")),
    "onset frames without hashes": instead("clips/onset_frame_sha256", lambda *_: None),
    "an onset frame's hash that is none": cell("onset_frame_sha256", b"../../" + b"0" * 58),
    "lzf": replaced("motion", data=np.zeros(MOTION, "u1"), chunks=(1, *MOTION[1:]), compression="lzf"),
    "shuffle": replaced("motion", data=np.zeros(MOTION, "u1"), chunks=(1, *MOTION[1:]), shuffle=True),
    "compact": instead("clips/fps", compact),
    "contiguous": replaced("motion", data=np.zeros(MOTION, "u1")),
    "two clips in a chunk": replaced("motion", data=np.zeros(MOTION, "u1"), chunks=(2, *MOTION[1:])),
    "no chunks at all": replaced("motion", shape=MOTION, dtype="u1", chunks=(1, *MOTION[1:])),
    "10**9 rows": huge(10**9),
    "2**40 rows": huge(2**40),
    "no rows": huge(0),
    "enormous clips": enormous_clips,
    "columns of other lengths": replaced("clips/fps", data=np.ones(CLIPS + 1, "f4")),
    "a scalar column": replaced("clips/fps", data=np.float32(100)),
    "a table column": replaced("clips/fps", data=np.ones((CLIPS, 2), "f4")),
    "a null column": replaced("clips/fps", data=h5py.Empty("f4")),
    "numbers as text": replaced("clips/onset", data=[b"1"] * CLIPS),
    "text as numbers": replaced("clips/subject", data=np.arange(CLIPS)),
    "text of variable length": replaced("clips/subject", data=["s"] * CLIPS, dtype=h5py.string_dtype()),
    "references": replaced("clips/subject", shape=(CLIPS,), dtype=h5py.ref_dtype),
    "compound": replaced("clips/fps", data=np.zeros(CLIPS, [("a", "f4"), ("b", "f4")])),
    "opaque": replaced("clips/subject", data=np.zeros(CLIPS, "V64")),
    "16-bit pixels": replaced("motion", data=np.zeros(MOTION, "u2"), chunks=(1, *MOTION[1:])),
    "big-endian": replaced("clips/onset", data=np.zeros(CLIPS, ">i4")),
    "a group for a column": instead("clips/fps", lambda file, _: file.create_group("clips/fps")),
    "a data set for a group": replaced("clips", data=1),
    "no rate": cell("fps", 0),
    "a negative rate": cell("fps", -1),
    "a rate that is no number": cell("fps", np.nan),
    "an infinite rate": cell("fps", np.inf),
    "a share that is no number": cell("clipped_fraction", np.nan),
    "no frames": cell("n_frames", 0),
    "onset after offset": cell("onset", 2**31 - 1),
    "a hash that is none": cell("sha256", b"../../" + b"0" * 58),
    "complete as text": attribute("complete", "false"),
    "complete as a number": attribute("complete", 1),
    "complete as an array": attribute("complete", [True]),
    "format as an array": attribute("format", ["mpt-cache"]),
    "a version with control characters": attribute("format_version", "\x1b[2J"),
    "provenance no object": attribute("provenance", '["a"]'),
    "provenance with other types": attribute("provenance", '{"omitted": ["a"], "notes": 7}'),
    "provenance with versions of no kind": attribute("provenance", '{"versions": "numpy"}'),
    "provenance nested deeply": attribute("provenance", '{"a":' * 500 + "1" + "}" * 500),
    "provenance nested beyond all stacks": attribute("provenance", "[" * 60_000),
    "provenance with a repeated name": attribute("provenance", '{"notes": [], "notes": ["b"]}'),
    "recipe with a repeated name": attribute("recipe", f'{{"frames": 9, "frames": {FRAMES}, "size": {SIZE}}}'),
    "recipe with an infinity": attribute("recipe", f'{{"frames": 1e400, "size": {SIZE}}}'),
    "recipe with NaN": attribute("recipe", f'{{"frames": {FRAMES}, "size": {SIZE}, "alpha": NaN}}'),
    "recipe with a number of 5000 digits": attribute("recipe", f'{{"frames": {"9" * 5000}, "size": {SIZE}}}'),
    "frames negative": recipe(frames=-4),
    "frames a text": recipe(frames="4"),
    "frames a list of a hundred thousand": recipe(frames=[0] * 10_000),
    "size a power of ten": recipe(size=10**100),
    "recipe of another digest": attribute("recipe_digest", "0" * 64),
    "licence as bytes that are no UTF-8": attribute("licence_notice", np.bytes_(b"\xff\xfe")),
    "licence as an array": attribute("licence_notice", ["a", "b"]),
    "licence as a number": attribute("licence_notice", 7),
    "licence empty": attribute("licence_notice", h5py.Empty("S1")),
    "dataset as a number": attribute("dataset", 7),
}
"""What was done → how. The function is given the file, opened for writing, and the victim's file."""


def craft(cache: Path, change: Change, secret: Path) -> None:
    """Let a stranger change a valid cache of 9 clips, 4 frames and 24 pixels."""
    with h5py.File(cache, "r+", libver="latest") as file:
        change(file, secret)


def private_file(folder: Path) -> Path:
    """A victim's file; HDF5, so that links can lead into it, with text that raw storage would show."""
    path = folder / "secret.h5"
    path.parent.mkdir()
    with h5py.File(path, "w", userblock_size=4096) as file:
        file["data"] = np.array([SENTINEL.encode()] * 9, "S64")
        file["clips/subject"] = np.array([SENTINEL.encode()] * 9, "S64")
    data = path.read_bytes()
    path.write_bytes((SENTINEL.encode() * 300)[:4096] + data[4096:])
    return path


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
