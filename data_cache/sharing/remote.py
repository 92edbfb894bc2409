"""One file behind http(s):// or s3://: what tells its versions apart, and reading it on from where a copy broke off."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_cache.errors import InvalidFile, MptError, UsageError, installation, is_disk_full
from data_cache.files.atomic import checksum_in
from data_cache.names import without_secrets

CONNECT_SECONDS = 20.0
SILENT_SECONDS = 60.0  # between two parts of an answer; the whole may take as long as it takes
_BLOCK = 1_000_000  # bytes read at a time
_MOST_CHECKSUM = 4096
_VERSION = ("size", "ETag", "etag", "mtime", "Last-Modified", "LastModified", "last_modified")


class BrokenOffError(UsageError):
    """A copy broke off; the rest may come if it is asked for again."""


def is_url(text: str) -> bool:
    """Whether `text` names a remote file: it begins with a scheme such as https://."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


class Remote:
    """One remote file."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self.shown = without_secrets(url)
        if scheme.lower() not in ("http", "https", "s3", "file"):
            raise UsageError(f"{self.shown}: {scheme}:// is not supported; use http(s):// or s3://")
        try:
            import aiohttp
            import fsspec

            self.is_http = scheme.lower() in ("http", "https")
            limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
            options = {"client_kwargs": {"timeout": limits}} if self.is_http else {}
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
        found = {name: info[name] for name in _VERSION if info.get(name) is not None}
        return {name: value if name == "size" else str(value) for name, value in found.items()}

    def checksum(self) -> str | None:
        """The SHA-256 in the checksum file beside it; None where there is none."""

        def on_bytes(so_far: int) -> None:
            if so_far > _MOST_CHECKSUM:
                raise InvalidFile(f"more than {_MOST_CHECKSUM} bytes")

        address, mark, query = self.path.partition("?")
        try:
            with TemporaryDirectory() as folder:
                file = Path(folder) / "sha256"
                self._read(f"{address}.sha256{mark}{query}", file, "", on_bytes)
                return checksum_in(file.read_bytes())
        except Exception:  # any answer but the file itself means that there is none; its kind depends on the server
            return None

    def copy_to(self, path: Path, state: Mapping[str, Any], on_bytes: Callable[[int], None]) -> None:
        """Copy the file in that `state` to `path`, or the rest of it, if the server still has it.

        Args:
            on_bytes: told how many bytes there are going to be, before the next ones are written; may raise.

        Raises:
            BrokenOffError: the rest may come later.
        """
        tag = next((t for t in (state.get("ETag"), state.get("Last-Modified")) if t and not t.startswith("W/")), "")
        if "size" not in state or (self.is_http and not tag):
            path.unlink(missing_ok=True)  # nothing would tell whether the rest belongs to it
        if not path.exists() or path.stat().st_size != state["size"]:
            self._ask(lambda: self._read(self.path, path, tag, on_bytes))

    def _read(self, address: str, path: Path, tag: str, on_bytes: Callable[[int], None]) -> None:
        """Read what is missing in `path`; over HTTP all, unless the file has the `tag` and the server can do that."""
        if self.is_http:
            from fsspec.asyn import sync as run

            run(self.files.loop, self._read_http, address, path, tag, on_bytes)
            return
        with self.files.open(address, "rb") as source, path.open("ab") as file:
            source.seek(file.tell())
            while data := source.read(_BLOCK):
                on_bytes(file.tell() + len(data))
                file.write(data)
                file.flush()

    async def _read_http(self, address: str, path: Path, tag: str, on_bytes: Callable[[int], None]) -> None:
        start = path.stat().st_size if path.exists() else 0
        rest = {"Range": f"bytes={start}-", "If-Range": tag} if start else {}
        session = await self.files.set_session()
        url = self.files.encode_url(address)
        async with session.get(url, headers={"Accept-Encoding": "identity", **rest}) as answer:
            answer.raise_for_status()
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            with path.open("ab" if goes_on else "wb") as file:
                async for data in answer.content.iter_chunked(_BLOCK):
                    on_bytes(file.tell() + len(data))
                    file.write(data)
                    file.flush()  # its first bytes are looked at

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except MptError:
            raise
        except Exception as error:  # each file system of fsspec has exceptions of its own
            if is_disk_full(error):
                raise
            reason, again = _reason(error)
            raise (BrokenOffError if again else UsageError)(f"{self.shown} {without_secrets(reason)}") from error


def _reason(error: Exception) -> tuple[str, bool]:
    """What happened, and whether to ask again; over HTTP, fsspec calls a first failure "not found", with a cause."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    status = getattr(cause, "status", None)
    if isinstance(error, PermissionError) or status in (401, 403):
        return "may not be read; check your credentials", False
    if status is not None and (status == 429 or status >= 500):
        return f"is not served now: the server answers {status}; try again later", True
    if isinstance(cause, TimeoutError):
        return f"does not arrive: the server was silent for {SILENT_SECONDS:g} s; try again later", True
    if isinstance(cause, FileNotFoundError) or status in (404, 410):
        return "is not there; check the address", False
    reached = "reached" if isinstance(cause, OSError) else "read"
    return f"cannot be {reached} ({type(cause).__name__}: {cause})", status is None
