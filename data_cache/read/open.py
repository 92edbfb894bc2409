"""The gate: a file is opened, and nothing in it is believed before it has the form of a finished cache.

A cache may come from a stranger. So links, external files, virtual data sets and filters of other programs are
refused before anything is read, and sizes are compared with the file before memory is taken for them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5s, h5z

from data_cache.digest import canonical_json
from data_cache.errors import InvalidFile, MptError, UsageError, require_version
from data_cache.names import name_problem, text_problem
from data_cache.schema import ATTRIBUTES, FIELDS, FORMAT, FORMAT_VERSION, HASHED, CacheAttributes, Field, fields_of

_FILTERS = (h5z.FILTER_DEFLATE, h5z.FILTER_FLETCHER32)
_MOST_ROWS_IN_A_CHUNK = 65_536  # of a column; MPT writes 1024
_MOST_NAME_BYTES = 128  # what a field of the format holds; data sets are read with 64
_MOST_DEFLATION = 1_100  # zlib makes at most 1032 bytes of one
_MOST_CLIP_BYTES = 2**31
_MOST_TEXT = 2**24  # characters of an attribute
_MOST_NESTING = 32
_MOST_SHOWN = 400  # characters of what a file says
_PROVENANCE = {"notes": list, "corrections": list, "omitted": dict, "versions": dict}


@dataclass(frozen=True)
class ClipTable:
    """The `/clips` columns of N clips; text as lists of str, numbers as arrays of shape (N,).

    `onset_frame_sha256` is None where the file has no onset frames.
    """

    subject: list[str]
    clip: list[str]
    emotion: list[str]
    onset: np.ndarray
    apex: np.ndarray
    offset: np.ndarray
    n_frames: np.ndarray
    fps: np.ndarray
    clipped_fraction: np.ndarray
    sha256: list[str]
    onset_frame_sha256: list[str] | None = None

    def __len__(self) -> int:
        return len(self.subject)

    def key(self, index: int) -> str:
        """`subject/clip` of one row."""
        return f"{self.subject[index]}/{self.clip[index]}"

    @property
    def keys(self) -> list[str]:
        """`subject/clip` of every row."""
        return [self.key(index) for index in range(len(self))]


def open_cache(path: Path) -> tuple[h5py.File, CacheAttributes, ClipTable]:
    """Open a cache, check its form, and read all of it but the pixels.

    Raises:
        UsageError, InvalidFile: as by `open_hdf5`, or it is no finished cache of a version that this software reads.
    """
    file = open_hdf5(path)
    try:
        _check_is_cache(file, path)
        attributes = _read_attributes(file, path)
        present = fields_of(onset_frames=file.id.links.exists(b"onset_frame"))
        datasets = {field: _open_field(file, field) for field in present}
        _check_sizes(datasets, attributes, path.stat().st_size)
        return file, attributes, _read_table(datasets)
    except BaseException as error:
        file.close()
        if isinstance(error, MptError) or not isinstance(error, Exception):
            raise
        # MemoryError, OverflowError, RecursionError, UnicodeDecodeError, … : whatever a hostile file makes of reading
        what = " ".join(str(error).split()) or type(error).__name__
        again = "copy it again, or make it anew with mpt-preprocess"
        raise InvalidFile(f"{path} is damaged: {what[:_MOST_SHOWN]}; {again}") from error


def open_hdf5(path: Path) -> h5py.File:
    """Open `path` for reading; say in plain words why that is impossible.

    Raises:
        UsageError: there is no such file, or it may not be read.
        InvalidFile: it is not HDF5, or it is truncated or damaged.
    """
    if not path.is_file():
        how = "make one with 'mpt-preprocess casme2' (or samm, smic, manifest, demo), or pass the right path"
        raise UsageError(f"no cache at {path}; {how}")
    try:
        return h5py.File(path, "r", locking=False)
    except PermissionError as error:
        raise UsageError(f"{path} may not be read by this user; ask its owner for 'chmod +r {path}'") from error
    except Exception as error:
        raise InvalidFile(_why_unreadable(path, " ".join(str(error).split()))) from error


def read_attribute(file: h5py.File, name: str) -> Any:
    """One scalar attribute of the root, text decoded; None where it is missing, unreadable or no scalar."""
    try:
        if h5a.open(file.id, name.encode()).shape != ():
            return None
        value = file.attrs[name]
        return value.decode() if isinstance(value, bytes) else value
    except (KeyError, OSError, RuntimeError, ValueError, TypeError):
        return None


def _why_unreadable(path: Path, message: str) -> str:
    size = path.stat().st_size
    if truncated := re.search(r"eof = (\d+).*stored_eof = (\d+)", message):
        return f"{path} is incomplete: {truncated[1]} of {truncated[2]} bytes; copy it again"
    if "file signature not found" in message:
        with path.open("rb") as file:
            start = file.read(24)
        return f"{path} is not an HDF5 file ({size} bytes, starts with {start!r}); a bad download? Copy it again"
    return f"{path} is damaged ({size} bytes; HDF5 says: {message}); copy it again, or make it anew"


def _check_is_cache(file: h5py.File, path: Path) -> None:
    if read_attribute(file, "format") != FORMAT:
        raise InvalidFile(f"{path} is an HDF5 file but no MPT cache (its attribute 'format' is not {FORMAT!r})")
    require_version(path, "cache", read_attribute(file, "format_version"), FORMAT_VERSION)
    complete = read_attribute(file, "complete")
    if not (isinstance(complete, bool | np.bool_) and complete):
        raise InvalidFile(f"{path} is not a finished cache; run the mpt-preprocess command again to resume it")


def _read_attributes(file: h5py.File, path: Path) -> CacheAttributes:
    texts = {name: read_attribute(file, name) for name in ATTRIBUTES if name != "complete"}
    if missing := [name for name, value in texts.items() if not isinstance(value, str) or len(value) > _MOST_TEXT]:
        raise InvalidFile(f"{path} lacks the text attributes {', '.join(missing)}; make it anew with mpt-preprocess")
    recipe = _json_object("recipe", texts["recipe"])
    for name in ("frames", "size"):
        if type(recipe.get(name)) is not int or recipe[name] < 1:
            raise ValueError(f"its recipe has {name} {recipe.get(name)!r}, expected a whole number of 1 or more")
    if problem := name_problem("its attribute dataset", texts["dataset"], _MOST_NAME_BYTES):
        raise ValueError(problem)
    provenance = _json_object("provenance", texts["provenance"])
    for name, kind in _PROVENANCE.items():
        if not isinstance(provenance.get(name, kind()), kind):
            raise ValueError(f"its provenance has {name} that are no {kind.__name__}")
    values = texts | {"recipe": recipe, "provenance": provenance}
    return CacheAttributes(**{field.name: values[field.name] for field in fields(CacheAttributes)})


def _json_object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_without_repetition)
        canonical_json(value)  # neither NaN nor an infinity
        _check_nesting(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {name} is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"its {name} is no JSON object")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; programs disagree on which of two values of one name counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name occurs twice")
    return made


def _check_nesting(value: Any, depth: int = 0) -> None:
    if depth > _MOST_NESTING:
        raise ValueError("it is nested too deeply")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_nesting(part, depth + 1)


def _open_field(file: h5py.File, field: Field) -> h5d.DatasetID:
    """Open a field that lies in this very file, in chunks, as its type says, behind no filter but HDF5's own."""
    where, path = f"/{field.path}", b""
    for part in field.path.encode().split(b"/"):
        path += b"/" + part
        try:
            link = file.id.links.get_info(path)
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"{where} is missing") from error
        if link.type != h5l.TYPE_HARD:
            raise ValueError(f"{where} is a link to another place")
    dataset = h5o.open(file.id, path)
    if not isinstance(dataset, h5d.DatasetID):
        raise ValueError(f"{where} is missing: there is something else than a data set")
    stored = dataset.get_create_plist()
    layouts = (h5d.CHUNKED,) if field.is_image else (h5d.CHUNKED, h5d.CONTIGUOUS)
    if stored.get_layout() not in layouts or stored.get_external_count():
        raise ValueError(f"{where} is not stored in chunks of this very file")
    filters = [stored.get_filter(number)[0] for number in range(stored.get_nfilters())]
    if not set(filters) <= set(_FILTERS):
        raise ValueError(f"{where} is stored with the HDF5 filters {filters}; a cache is plain or gzip")
    if dataset.dtype != field.dtype:
        raise ValueError(f"{where} is {dataset.dtype}, expected {field.dtype}")
    return dataset


def _check_sizes(fields: Mapping[Field, h5d.DatasetID], attributes: CacheAttributes, file_size: int) -> None:
    """Compare shapes with the schema, and what they claim with what the file can hold."""
    clips = (fields[FIELDS[0]].shape or (0,))[0]
    if clips < 1:
        raise ValueError("it holds no clip")
    clip_bytes = sum(prod(attributes.clip_shape(field)) for field in fields if field.is_image)
    if clip_bytes > _MOST_CLIP_BYTES:
        raise ValueError(f"a clip of it would take {clip_bytes} bytes, allowed are {_MOST_CLIP_BYTES}")
    for field, dataset in fields.items():
        expected = (clips, *attributes.clip_shape(field))
        if dataset.shape != expected:
            raise ValueError(f"/{field.path} has shape {dataset.shape}, expected {expected}")
        stored, claimed = dataset.get_create_plist(), prod(expected) * field.dtype.itemsize
        if stored.get_layout() == h5d.CHUNKED:
            chunk = stored.get_chunk()
            rows = 1 if field.is_image else min(chunk[0], _MOST_ROWS_IN_A_CHUNK)
            chunks, there = -(-clips // rows), dataset.get_num_chunks()
            if chunk != (rows, *expected[1:]) or chunks != there:
                raise ValueError(f"/{field.path} holds {there} of {chunks} chunks, and a chunk is {chunk}")
            claimed = chunks * prod(chunk) * field.dtype.itemsize
        deflated = any(stored.get_filter(n)[0] == h5z.FILTER_DEFLATE for n in range(stored.get_nfilters()))
        bytes_there = dataset.get_storage_size()
        if bytes_there > file_size or claimed > bytes_there * (_MOST_DEFLATION if deflated else 1):
            raise ValueError(f"/{field.path} holds {bytes_there} of {claimed} bytes")


def _read_table(fields: Mapping[Field, h5d.DatasetID]) -> ClipTable:
    columns: dict[str, Any] = {}
    for field, dataset in fields.items():
        if field.is_image:
            continue
        values = np.empty(dataset.shape, dataset.dtype)
        try:
            # Low-level, because a build opens thousands of shards, and `file[path][...]` takes thrice as long.
            dataset.read(h5s.ALL, h5s.ALL, values)
            columns[field.name] = [value.decode() for value in values] if field.is_text else values
        except (OSError, ValueError) as error:
            raise ValueError(f"/{field.path} is corrupt ({error})") from error
    if problem := next(filter(None, _problems(columns)), None):
        raise ValueError(problem)
    return ClipTable(**columns)


def _problems(columns: Mapping[str, Any]) -> Iterator[str | None]:
    """What is wrong with the values of `/clips`; None for each that is as it should be."""
    for name in ("subject", "clip"):
        yield from (name_problem(f"a {name}", value, _MOST_NAME_BYTES) for value in set(columns[name]))
    yield from (text_problem("an emotion", value) for value in set(columns["emotion"]))
    for value in {value for name in HASHED for value in columns.get(name, ())}:
        yield None if re.fullmatch("[0-9a-f]{64}", value) else f"a hash of a clip is {value!r}, which is no SHA-256"
    for name in ("fps", "clipped_fraction"):
        yield None if np.isfinite(columns[name]).all() else f"/clips/{name} holds a number that is not finite"
