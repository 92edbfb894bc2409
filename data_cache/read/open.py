"""Open a file and make sure that it is a finished cache; say in plain words why it is not."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from data_cache.errors import InvalidFile, UsageError
from data_cache.schema import ATTRIBUTES, FORMAT, FORMAT_VERSION, CacheAttributes


@contextmanager
def open_cache(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading and check that it is a finished cache; close it afterwards."""
    with open_hdf5(path) as file:
        check_is_cache(file, path)
        yield file


def open_hdf5(path: Path) -> h5py.File:
    """Open `path` for reading; say in plain words why that is impossible.

    Raises:
        UsageError: there is no such file, or it may not be read.
        InvalidFile: it is not HDF5, or it is truncated or damaged.
    """
    if not path.is_file():
        raise UsageError(
            f"no cache at {path}; make one with 'mpt-preprocess casme2' (or samm, smic, manifest, demo), "
            "or pass the right path"
        )
    try:
        return h5py.File(path, "r", locking=False)
    except PermissionError as error:
        raise UsageError(f"{path} may not be read by this user; ask its owner for 'chmod +r {path}'") from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise InvalidFile(_why_unreadable(path, str(error))) from error


def _why_unreadable(path: Path, message: str) -> str:
    size = path.stat().st_size
    truncated = re.search(r"eof = (\d+).*stored_eof = (\d+)", message)
    if truncated:
        return f"{path} is incomplete: {truncated[1]} of {truncated[2]} bytes; copy it again"
    if "file signature not found" in message:
        with path.open("rb") as file:
            start = file.read(24)
        return f"{path} is not an HDF5 file ({size} bytes, starts with {start!r}); a bad download? Copy it again"
    return f"{path} is damaged ({size} bytes; HDF5 says: {message}); copy it again, or make it anew"


def check_is_cache(file: h5py.File, path: Path) -> None:
    """Refuse a file that is no finished cache of a version that we read.

    Raises:
        InvalidFile: as said.
    """
    if read_attribute(file, "format") != FORMAT:
        raise InvalidFile(f"{path} is an HDF5 file but no MPT cache (its attribute 'format' is not {FORMAT!r})")
    version = str(read_attribute(file, "format_version"))
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise InvalidFile(
            f"{path} has cache format {version}; this software reads {FORMAT_VERSION.partition('.')[0]}.x: upgrade it "
            "with 'pip install -U motion-prompt-tuning'"
        )
    if not bool(read_attribute(file, "complete")):
        raise InvalidFile(f"{path} is not a finished cache; run the mpt-preprocess command again to resume it")


def read_attributes(file: h5py.File, path: Path) -> CacheAttributes:
    """The root attributes, decoded.

    Raises:
        InvalidFile: one is missing or is not the JSON that it should be.
    """
    texts = {name: read_attribute(file, name) for name in ATTRIBUTES}
    missing = [name for name, value in texts.items() if value is None]
    if missing:
        raise InvalidFile(f"{path} lacks the attributes {', '.join(missing)}; make it anew with mpt-preprocess")
    try:
        attributes = CacheAttributes(
            dataset=str(texts["dataset"]),
            recipe=json.loads(texts["recipe"]),
            recipe_digest=str(texts["recipe_digest"]),
            source_digest=str(texts["source_digest"]),
            provenance=json.loads(texts["provenance"]),
            licence_notice=str(texts["licence_notice"]),
        )
        if attributes.frames < 1 or attributes.size < 1:
            raise ValueError("recipe without a positive frame count and size")
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidFile(f"{path}: its recipe or provenance cannot be read ({error}); make it anew") from error
    return attributes


def read_attribute(file: h5py.File, name: str) -> Any:
    """One attribute of the root, text decoded; None where it is missing or unreadable."""
    try:
        value = file.attrs[name]
    except (KeyError, OSError, RuntimeError):
        return None
    return value.decode() if isinstance(value, bytes) else value
