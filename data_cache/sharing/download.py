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
from tempfile import TemporaryDirectory
from typing import Any

import platformdirs

from data_cache.console.commandline import progress
from data_cache.digest import digest
from data_cache.errors import InvalidFile, Locked, MptError, UsageError, installation, is_disk_full
from data_cache.files.atomic import replacing, sync, write_json
from data_cache.files.checksum import checksum_in, file_sha256, write_sidecar
from data_cache.files.lock import lock_path, read_holder, writer_lock
from data_cache.files.space import readable, require_space
from data_cache.names import without_secrets
from data_cache.read.validate import require_valid, stated_size

log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000
_SHOWN = 8
_WAIT_SECONDS = 0.5
STALLED_SECONDS = 600.0  # without a new byte; checking what arrived takes time too
CONNECT_SECONDS = 20.0
SILENT_SECONDS = 60.0  # between two parts of an answer; the whole may take as long as it takes
_MOST_OTHERWISE = _MEGABYTE  # bytes of what states no size and is no HDF5 file: enough to say what it is
_MOST_CHECKSUM = 4096


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
                log.info(f"waiting for {holder}, which copies {remote.shown}")
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
        scheme, _, rest = url.partition("://")
        self.shown = without_secrets(url)
        options: dict[str, Any] = {}
        if scheme.lower() not in ("http", "https", "s3", "file"):
            raise UsageError(f"{self.shown}: {scheme}:// is not supported; use http(s):// or s3://")
        try:
            import aiohttp
            import fsspec

            if scheme.lower() in ("http", "https"):
                limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
                options["client_kwargs"] = {"timeout": limits}
            self.files, self.path = fsspec.core.url_to_fs(f"{scheme.lower()}://{rest}", **options)
        except ImportError as error:
            raise UsageError(
                f"{self.shown} needs a package that is not installed here ({error}); {installation('remote')}"
            ) from error
        except ValueError as error:
            raise UsageError(f"{self.shown} is no address ({without_secrets(str(error))}); correct it") from error

    def state(self) -> dict[str, Any]:
        """What tells one version of the file from another; `size` in bytes among it."""
        info = self._ask(lambda: self.files.info(self.path))
        if info.get("type") == "directory":
            raise UsageError(f"{self.shown} is a folder; give the URL of a cache")
        return {
            name: str(info[name]) if name != "size" else info[name]
            for name in ("size", "ETag", "etag", "mtime", "LastModified", "last_modified")
            if info.get(name) is not None
        }

    def checksum(self) -> str | None:
        """The SHA-256 in the checksum file beside it; None where there is none."""

        def on_bytes(so_far: int) -> None:
            if so_far > _MOST_CHECKSUM:
                raise InvalidFile(f"more than {_MOST_CHECKSUM} bytes")

        address, mark, query = self.path.partition("?")
        try:
            with TemporaryDirectory() as folder:
                file = Path(folder) / "sha256"
                self._get(f"{address}.sha256{mark}{query}", file, on_bytes)
                return checksum_in(file.read_bytes())
        except Exception:  # any answer but the file itself means that there is none; its kind depends on the server
            return None

    def copy_to(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        """Copy the file to `path`; `on_bytes` is told how many bytes there are so far, and may raise."""
        self._ask(lambda: self._get(self.path, path, on_bytes))

    def _get(self, address: str, path: Path, on_bytes: Callable[[int], None]) -> None:
        from fsspec import Callback

        progress = Callback(hooks={"bytes": lambda size, value, **_: on_bytes(value)})
        self.files.get_file(address, str(path), callback=progress)

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except MptError:
            raise
        except Exception as error:  # each file system of fsspec has exceptions of its own
            if is_disk_full(error):
                raise
            raise UsageError(f"{self.shown} {without_secrets(_reason(error))}") from error


def _download(remote: _Remote, state: dict[str, Any], target: Path) -> None:
    size = state.get("size")
    if size is not None:
        require_space(target, size, "a copy would")
    log.info(f"copying {remote.shown} to {target}")
    with replacing(target) as temporary:
        with progress("copying", max(1, (size or 0) // _MEGABYTE), "MB") as advance:
            shown = 0

            def on_bytes(so_far: int) -> None:
                nonlocal shown
                if so_far and so_far > (most := _most_bytes(temporary, size)):
                    raise InvalidFile(
                        f"{remote.shown} goes on after the {most} bytes that it should have; ask who shares it"
                    )
                advance(so_far // _MEGABYTE - shown, "")
                shown = so_far // _MEGABYTE

            remote.copy_to(temporary, on_bytes)
        sync(temporary)
        copied = temporary.stat().st_size
        if size is not None and copied != size:
            raise InvalidFile(f"{remote.shown}: {copied} of {size} bytes arrived; try again")
        expected, arrived = remote.checksum(), file_sha256(temporary)
        if expected is not None and expected != arrived:
            raise InvalidFile(
                f"{remote.shown} does not match its checksum file ({arrived[:_SHOWN]}… instead of {expected[:_SHOWN]}…)"
                "; try again, or ask who shares it to upload it again"
            )
        try:
            require_valid(temporary, pixels=expected is None)
        except InvalidFile as error:
            raise InvalidFile(str(error).replace(str(temporary), remote.shown)) from error
    write_sidecar(target, arrived)
    write_json(_note_path(target), {"url": remote.shown, "state": state, "date": time.strftime("%Y-%m-%d %H:%M")})
    log.info(f"{target}: {readable(copied)}, {'checksum file' if expected else 'hash of every clip'} checked")


def _most_bytes(part: Path, size: int | None) -> int:
    """How long a file may become by what was announced and by the first bytes of it, which are in `part`."""
    limits = [limit for limit in (size, stated_size(part)) if limit is not None]
    return min(limits, default=_MOST_OTHERWISE)


def _reason(error: Exception) -> str:
    """Over HTTP, fsspec calls every failure of the first question "not found"; what really happened is its cause."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    status = getattr(cause, "status", None)
    if isinstance(error, PermissionError) or status in (401, 403):
        return "may not be read; check your credentials"
    if status is not None and (status == 429 or status >= 500):
        return f"is not served now: the server answers {status}; try again later"
    if isinstance(cause, TimeoutError):
        return f"does not arrive: the server was silent for {SILENT_SECONDS:g} s; try again later"
    if isinstance(cause, FileNotFoundError) or status in (404, 410):
        return "is not there; check the address"
    return f"cannot be {'reached' if isinstance(cause, OSError) else 'read'} ({type(cause).__name__}: {cause})"


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
    name = re.split(r"[?#]", url)[0].rstrip("/\\.").rpartition("/")[2]
    return name.rpartition("\\")[2]
