"""Caches behind http(s):// and s3://: copied once to this machine, checked, then read from there.

Training reads every clip in every epoch, so reading over the network each time would be absurd.
"""

import glob
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
from rich.filesize import decimal

from data_cache.console.commandline import progress
from data_cache.digest import digest
from data_cache.errors import InvalidFile, Locked, NoSpace, UsageError
from data_cache.files.atomic import file_sha256, is_plain, require_space, sidecar_path, sync, write_json, write_sidecar
from data_cache.files.lock import lock_path, read_holder, writer_lock
from data_cache.read.validate import require_valid, stated_size
from data_cache.sharing.remote import BrokenOffError, Remote, is_url

log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000
_SHOWN = 8
_WAIT_SECONDS = 0.5
STALLED_SECONDS = 600.0  # without a new byte; checking what arrived takes time too
_PAUSES = (1.0, 4.0, 15.0)  # seconds before a broken copy goes on, after so many tries that brought next to nothing


def local_copy(cache: str | os.PathLike[str]) -> Path:
    """A path on this machine for a cache given by path or URL.

    A path is returned as it is. A URL is copied once, into `download_folder()`, and checked: its size, the checksum
    file beside it if there is one, and else every clip's own hash. A copy that breaks off goes on where it was, now
    or in a later call, if the server still has the same file. Later calls use the copy as long as the remote file is
    the same, also when the network is away. While another process copies the same file (ranks of torchrun, jobs of an
    array), this one waits as long as that one gets on.

    Raises:
        UsageError: the URL cannot be read, or the extra `remote` is not installed.
        InvalidFile: what arrived is incomplete, or no valid cache.
        Locked: the process that copies it has not got on for ten minutes.
        NoSpace: it does not fit on the disk.
    """
    url = os.fspath(cache)
    if not is_url(url):
        return Path(url)
    target = download_folder() / digest(url)[:_SHOWN] / (_name_of(url) or "cache.h5")
    try:
        remote = Remote(url)
        state = remote.state()
    except UsageError as error:
        if not (known := _note(target)):
            raise
        log.info(f"{error}. Using the copy from {known.get('date', 'earlier')}")
        return target
    copied, since = -1, 0.0  # bytes that another process had copied, and since when it had; −1 before the first look
    while _note(target).get("state") != state:
        try:
            with writer_lock(target):
                _download(remote, state, target)
        except Locked as error:
            if copied < 0:
                holder = read_holder(lock_path(target)) or "another process"
                log.info(f"waiting for {holder}, which copies {remote.shown}")
            if (now := _copied_so_far(target)) != copied:
                copied, since = now, time.monotonic()
            elif time.monotonic() - since > STALLED_SECONDS:
                raise Locked(f"{error}; it has copied nothing for {STALLED_SECONDS:.0f} s") from error
            time.sleep(_WAIT_SECONDS)
    return target


def download_folder() -> Path:
    """Where copies go: `$MPT_DOWNLOADS`, else mpt in the user's folder for caches."""
    chosen = os.environ.get("MPT_DOWNLOADS")
    return Path(chosen) if chosen else platformdirs.user_cache_path("mpt", appauthor=False)


def _download(remote: Remote, state: dict[str, Any], target: Path) -> None:
    """Copy, check and publish. What arrived of a broken copy stays, under a name that says of which version it is."""
    part = target.with_name(f"{target.name}.part-{digest(state)[:_SHOWN]}")
    for other in target.parent.glob(f"{glob.escape(target.name)}.part-*"):
        if other != part or not is_plain(other):
            other.unlink()
    log.info(f"copying {remote.shown} to {target}")
    pauses, most = iter(_PAUSES), _copied_so_far(target)
    while True:
        try:
            _copy(remote, state, part)
            arrived, by = _check(remote, state, part)
            break
        except BrokenOffError as error:
            if (copied := _copied_so_far(target)) >= most + _MEGABYTE:
                pauses, most = iter(_PAUSES), copied
            if (pause := next(pauses, None)) is None:
                raise
            log.info(f"{error}. The rest is asked for in {pause:g} s")
            time.sleep(pause)
        except (InvalidFile, OSError) as error:
            part.unlink(missing_ok=True)
            if isinstance(error, InvalidFile):
                raise
            raise NoSpace(f"disk full while copying {remote.shown}; free some space and try again") from error
    sidecar_path(target).unlink(missing_ok=True)  # it speaks of the file that is replaced now
    part.replace(target)
    sync(target.parent)
    write_sidecar(target, arrived)
    write_json(_note_path(target), {"url": remote.shown, "state": state, "date": time.strftime("%Y-%m-%d %H:%M")})
    log.info(f"{target}: {decimal(target.stat().st_size)}, {by} checked")


def _copy(remote: Remote, state: Mapping[str, Any], part: Path) -> None:
    size, shown = state.get("size"), 0
    if size is not None:
        require_space(part, size - (part.stat().st_size if part.exists() else 0), "a copy would")
    part.parent.mkdir(parents=True, exist_ok=True)
    with progress("copying", max(1, (size or 0) // _MEGABYTE), "MB") as advance:

        def on_bytes(so_far: int) -> None:
            nonlocal shown
            # by what was announced, and by the first bytes of the file, which are there; else enough to say what it is
            limits = [limit for limit in (size, stated_size(part)) if limit is not None]
            if so_far > (most := min(limits, default=_MEGABYTE)):
                raise InvalidFile(f"{remote.shown} goes on after its {most} bytes; ask who shares it")
            advance(so_far // _MEGABYTE - shown, "")
            shown = so_far // _MEGABYTE

        remote.copy_to(part, state, on_bytes)
    sync(part)


def _check(remote: Remote, state: Mapping[str, Any], part: Path) -> tuple[str, str]:
    """The SHA-256 of what arrived, and by what it was checked."""
    size, copied = state.get("size"), part.stat().st_size
    if size is not None and copied != size:
        raise InvalidFile(f"{remote.shown}: {copied} of {size} bytes arrived; try again")
    expected, arrived = remote.checksum(), file_sha256(part)
    if expected is not None and expected != arrived:
        found = f"{arrived[:_SHOWN]}… instead of {expected[:_SHOWN]}…; try again, or ask who shares it for a new upload"
        raise InvalidFile(f"{remote.shown} does not match its checksum file: {found}")
    try:
        require_valid(part, pixels=expected is None)
    except InvalidFile as error:
        raise InvalidFile(str(error).replace(str(part), remote.shown)) from error
    return arrived, "checksum file" if expected else "hash of every clip"


def _copied_so_far(target: Path) -> int:
    total = 0
    for part in target.parent.glob(f"{glob.escape(target.name)}.part-*"):
        with suppress(OSError):  # it was renamed meanwhile
            total += part.stat().st_size
    return total


def _note_path(target: Path) -> Path:
    return target.with_name(target.name + ".origin.json")


def _note(target: Path) -> dict[str, Any]:
    """What was noted of a finished copy; empty where there is none."""
    try:
        note = json.loads(_note_path(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and target.exists() else {}


def _name_of(url: str) -> str:
    return re.split(r"[/\\]", re.split(r"[?#]", url)[0].rstrip("/\\."))[-1]
