"""Caches behind http(s):// and s3://: copied once to this machine, checked, then read from there.

Training reads every clip in every epoch, so reading over the network each time would be absurd.
"""

import glob
import json
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from data_cache.console.commandline import progress
from data_cache.digest import digest
from data_cache.errors import InvalidFile, Locked, MptError, UsageError, is_disk_full
from data_cache.files.atomic import replacing, sync, write_json
from data_cache.files.checksum import checksum_in, file_sha256, write_sidecar
from data_cache.files.lock import lock_path, read_holder, writer_lock
from data_cache.files.space import readable, require_space
from data_cache.read.validate import require_valid

log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000
_SHOWN = 8
_WAIT_SECONDS = 0.5
STALLED_SECONDS = 600.0  # without a new byte; checking what arrived takes time too


def local_copy(cache: str | os.PathLike[str]) -> Path:
    """A path on this machine for a cache given by path or URL.

    A path is returned as it is. A URL is copied once, into `download_folder()`, and checked: its size, the checksum
    file beside it if there is one, and else every clip's own hash. Later calls use the copy as long as the remote
    file is the same, also when the network is away. While another process copies the same file (ranks of torchrun,
    jobs of an array), this one waits as long as that one gets on.

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
        remote = _Remote(url)
        state = remote.state()
    except UsageError as error:
        if not _is_finished(target):
            raise
        log.info(f"{error}. Using the copy from {_note(target).get('date', 'earlier')}")
        return target
    seen: tuple[int, float] | None = None  # bytes that another process had copied, and since when it had
    while not (_is_finished(target) and _note(target).get("state") == state):
        try:
            with writer_lock(target):
                _download(remote, state, target)
        except Locked as error:
            copied, now = _copied_so_far(target), time.monotonic()
            if seen is None:
                holder = read_holder(lock_path(target)) or "another process"
                log.info(f"waiting for {holder}, which copies {url}")
            if seen is None or copied != seen[0]:
                seen = copied, now
            elif now - seen[1] > STALLED_SECONDS:
                raise Locked(f"{error}; it has copied nothing for {STALLED_SECONDS:.0f} s") from error
            time.sleep(_WAIT_SECONDS)
    return target


def is_url(text: str) -> bool:
    """Whether `text` names a remote file: it begins with a scheme such as https://."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def download_folder() -> Path:
    """Where copies go: `$MPT_DOWNLOADS`, else mpt in the user's folder for caches."""
    chosen = os.environ.get("MPT_DOWNLOADS")
    return Path(chosen) if chosen else platformdirs.user_cache_path("mpt", appauthor=False)


class _Remote:
    """One remote file."""

    def __init__(self, url: str) -> None:
        self.url = url
        scheme = url.partition("://")[0]
        try:
            import fsspec

            self.files, self.path = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise UsageError(
                f"{url} needs a package that is not installed here ({error}); "
                "pip install 'motion-prompt-tuning[remote]'"
            ) from error
        except ValueError as error:
            raise UsageError(f"{url}: {scheme}:// is not supported ({error}); use http(s):// or s3://") from error

    def state(self) -> dict[str, Any]:
        """What tells one version of the file from another; `size` in bytes among it."""
        info = self._ask(lambda: self.files.info(self.path))
        if info.get("type") == "directory":
            raise UsageError(f"{self.url} is a folder; give the URL of a cache")
        return {
            name: str(info[name]) if name != "size" else info[name]
            for name in ("size", "ETag", "etag", "mtime", "LastModified", "last_modified")
            if info.get(name) is not None
        }

    def checksum(self) -> str | None:
        """The SHA-256 in the checksum file beside it; None where there is none."""
        try:
            return checksum_in(self.files.cat_file(self.path + ".sha256")[:4096])
        except Exception:  # any answer but the file itself means that there is none; its kind depends on the server
            return None

    def copy_to(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        """Copy the file to `path`; `on_bytes` is told how many bytes there are so far."""
        from fsspec import Callback

        progress = Callback(hooks={"bytes": lambda size, value, **_: on_bytes(value)})
        self._ask(lambda: self.files.get_file(self.path, str(path), callback=progress))

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (FileNotFoundError, PermissionError) as error:
            raise UsageError(f"{self.url} {_why_not_there(error)}") from error
        except MptError:
            raise
        except Exception as error:  # each file system of fsspec has exceptions of its own
            if is_disk_full(error):
                raise
            raise UsageError(f"{self.url} cannot be read ({type(error).__name__}: {error})") from error


def _download(remote: _Remote, state: dict[str, Any], target: Path) -> None:
    size = state.get("size")
    if size is not None:
        require_space(target, size, "a copy would")
    log.info(f"copying {remote.url} to {target}")
    with replacing(target) as temporary:
        with progress("copying", max(1, (size or 0) // _MEGABYTE), "MB") as advance:
            shown = 0

            def on_bytes(so_far: int) -> None:
                nonlocal shown
                advance(so_far // _MEGABYTE - shown, "")
                shown = so_far // _MEGABYTE

            remote.copy_to(temporary, on_bytes)
        sync(temporary)
        copied = temporary.stat().st_size
        if size is not None and copied != size:
            raise InvalidFile(f"{remote.url}: {copied} of {size} bytes arrived; try again")
        expected, arrived = remote.checksum(), file_sha256(temporary)
        if expected is not None and expected != arrived:
            raise InvalidFile(
                f"{remote.url} does not match its checksum file ({arrived[:_SHOWN]}… instead of {expected[:_SHOWN]}…); "
                "try again, or ask who shares it to upload it again"
            )
        try:
            require_valid(temporary, pixels=expected is None)
        except InvalidFile as error:
            raise InvalidFile(str(error).replace(str(temporary), remote.url)) from error
    write_sidecar(target, arrived)
    write_json(_note_path(target), {"url": remote.url, "state": state, "date": time.strftime("%Y-%m-%d %H:%M")})
    log.info(f"{target}: {readable(copied)}, {'checksum file' if expected else 'hash of every clip'} checked")


def _why_not_there(error: OSError) -> str:
    """Over HTTP, fsspec calls every failure "not found"; what really happened is its cause."""
    cause = error.__cause__
    if isinstance(error, PermissionError) or getattr(cause, "status", None) in (401, 403):
        return "may not be read; check your credentials"
    return f"cannot be reached ({cause})" if isinstance(cause, OSError) else "is not there; check the address"


def _copied_so_far(target: Path) -> int:
    total = 0
    for part in target.parent.glob(f"{glob.escape(target.name)}.tmp-*"):
        with suppress(OSError):  # it was renamed meanwhile
            total += part.stat().st_size
    return total


def _is_finished(target: Path) -> bool:
    return target.exists() and bool(_note(target))


def _note_path(target: Path) -> Path:
    return target.with_name(target.name + ".origin.json")


def _note(target: Path) -> dict[str, Any]:
    try:
        note = json.loads(_note_path(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _name_of(url: str) -> str:
    return re.split(r"[?#]", url)[0].rstrip("/").rpartition("/")[2]
