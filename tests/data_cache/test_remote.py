"""Caches behind http:// and s3://: copied once, checked, and then no longer asked for. Real servers, on loopback."""

import importlib.util
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builds import wait_for
from commands import Command, MakeCache
from flips import flip
from tiny_runs import QUICK

from data_cache.errors import InvalidFile, Locked, NoSpace, UsageError
from data_cache.files.lock import writer_lock
from data_cache.read.reader import CacheReader
from data_cache.sharing import download, remote
from data_cache.sharing.download import download_folder, is_url, local_copy
from train.report.sections.gallery import find_caches
from train.results.run_folder import RunFolder

pytestmark = pytest.mark.skipif(importlib.util.find_spec("aiohttp") is None, reason="the extra 'remote'")


class Store:
    """Files that a server offers, and what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.demo = folder, folder / "demo.h5"
        self.requests: list[str] = []
        self.cut_to: int | None = None  # end each body early, as a bad connection does
        self.ranges = True  # answer those who ask for the rest of a file
        self.sent = 0  # bytes of bodies
        self.odd: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}  # name → what answers instead
        self.before_a_cache: Callable[[], None] = lambda: None  # happens before each body of a cache


@pytest.fixture
def store(tmp_path: Path, make_cache: MakeCache) -> Store:
    folder = tmp_path / "bucket"
    folder.mkdir()
    store = Store(folder)
    make_cache(store.demo, {"s": 3})
    return store


def answer(client: BaseHTTPRequestHandler, status: int = 200, body: Iterable[bytes] = (), **headers: object) -> None:
    client.send_response(status)
    for name, value in headers.items():
        client.send_header(name.replace("_", "-"), str(value))
    client.end_headers()
    for part in body if client.command == "GET" else ():
        client.wfile.write(part)


@pytest.fixture
def server(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a server that speaks enough HTTP, and enough S3, for a client to read objects."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].rpartition("/")[2]
            store.requests.append(f"{self.command} {name}")
            if name in store.odd:
                self.close_connection = True
                with suppress(ConnectionError):  # the client may hang up
                    store.odd[name](self)
                return
            path = store.folder / name
            status = 200 if name and path.is_file() else 404
            data = path.read_bytes() if status == 200 else b""
            tag = f'"{path.stat().st_mtime_ns}"' if data else ""
            asked = self.headers.get("Range") if store.ranges and self.headers.get("If-Range", tag) == tag else None
            headers = {"ETag": tag, "Last_Modified": formatdate(path.stat().st_mtime, usegmt=True)} if data else {}
            if asked and data:
                start, _, end = asked.removeprefix("bytes=").partition("-")
                whole, data, status = len(data), data[int(start) : int(end or len(data)) + 1], 206
                headers["Content_Range"] = f"bytes {start}-{int(start) + len(data) - 1}/{whole}"
            answer(self, status, Content_Length=len(data), **headers)
            if self.command == "GET":
                if name.endswith(".h5"):
                    store.before_a_cache()
                self.wfile.write(data[: store.cut_to])
                store.sent += len(data[: store.cut_to])
            if store.cut_to is not None:
                self.close_connection = True

        do_HEAD = do_GET  # noqa: N815 - http.server calls it so

        def log_message(self, *_: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("MPT_DOWNLOADS", str(tmp_path / "downloads"))
    monkeypatch.setattr(download, "_PAUSES", (0.01, 0.01))
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def url(server: str) -> str:
    """The address of the one cache that is there from the beginning."""
    return f"{server}/demo.h5"


def test_paths_are_left_alone(tmp_path: Path) -> None:
    assert local_copy("some/cache.h5") == Path("some/cache.h5")
    assert local_copy(tmp_path) == tmp_path
    assert not is_url("C:/cache.h5") and not is_url("/a://b") and is_url("s3://bucket/c.h5")


def test_a_cache_is_copied_once_and_checked(url: str, store: Store) -> None:
    copy = local_copy(url)
    assert copy.name == "demo.h5" and copy.is_relative_to(download_folder())
    assert copy.read_bytes() == store.demo.read_bytes()
    assert store.requests.count("GET demo.h5") == 1 and "GET demo.h5.sha256" in store.requests
    assert local_copy(url.replace("http", "HTTP")).name == "demo.h5"
    store.requests.clear()
    assert local_copy(url) == copy
    assert "GET demo.h5" not in store.requests
    assert not list(download_folder().rglob("*.tmp-*")) and not list(download_folder().rglob("*.lock"))


def test_a_changed_cache_is_copied_again(url: str, store: Store, make_cache: MakeCache) -> None:
    before = CacheReader(local_copy(url)).content_digest
    make_cache(store.demo, {"s": 3}, seed=1)
    after = CacheReader(local_copy(url)).content_digest
    assert after == CacheReader(store.demo).content_digest != before


def test_the_copy_serves_while_the_network_is_away(url: str, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    copy = local_copy(url)
    for status in (403, 503):
        caplog.clear()
        store.odd["demo.h5"] = lambda client, status=status: answer(client, status)
        with caplog.at_level("INFO", "data_cache"):
            assert local_copy(url) == copy
        assert "Using the copy from 20" in caplog.text


def test_s3_in_the_same_way(server: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    for name, value in (("ENDPOINT_URL", server), ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    copy = local_copy("s3://bucket/demo.h5")
    assert copy.read_bytes() == store.demo.read_bytes()
    requests = len(store.requests)
    assert local_copy("s3://bucket/demo.h5") == copy
    assert "GET demo.h5" not in store.requests[requests:]


def test_commands_take_urls(command: Command, server: str, url: str) -> None:
    assert command("mpt-cache", "info", url).code == 0
    assert command("mpt-cache", "verify", url).code == 0
    assert command("mpt-cache", "merge", url, "-o", "merged.h5").code == 0
    missing = command("mpt-cache", "info", f"{server}/other.h5")
    assert missing.code == 2 and "is not there" in missing.err and "Traceback" not in missing.err


def test_training_on_a_url_is_training_on_the_cache(
    command: Command, server: str, store: Store, make_cache: MakeCache
) -> None:
    original = make_cache(store.folder / "two.h5", {"s1": 3, "s2": 2})
    url = f"{server}/two.h5"
    assert command("mpt-train", "--cache", original, *QUICK, "--name", "by-path").code == 0
    begun = command("mpt-train", "--cache", url, *QUICK, "--name", "by-url", "--subjects", "s1")
    assert begun.code == 0 and f"copying {url}" in begun.err and "1 of 2 folds are still" in begun.err
    store.requests.clear()
    resumed = command("mpt-train", "--cache", url, *QUICK, "--name", "by-url")
    assert resumed.code == 0 and "1 folds" in resumed.err, resumed.err
    assert "GET two.h5" not in store.requests
    by_path, by_url = RunFolder(Path("runs/by-path")), RunFolder(Path("runs/by-url"))
    assert by_url.config == by_path.config
    assert by_url.config["caches"][0]["content_digest"] == CacheReader(original).content_digest
    assert url in by_url.environment["command"]
    for ours, theirs in zip(by_url.read_folds(), by_path.read_folds(), strict=True):
        np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-4)
    assert find_caches(by_url.load(), []) == [local_copy(url)], "the report finds the copy by itself"
    make_cache(original, {"s1": 3, "s2": 2}, seed=1)
    other = command("mpt-train", "--cache", url, *QUICK, "--name", "by-url")
    assert other.code == 5 and "caches" in other.err, "another file at the address is another run"
    missing = command("mpt-train", "--cache", f"{server}/absent.h5", *QUICK)
    assert missing.code == 2 and f"{server}/absent.h5 is not there" in missing.err and "Traceback" not in missing.err


@pytest.mark.slow
def test_a_report_takes_its_pictures_from_a_url(
    command: Command, server: str, store: Store, make_cache: MakeCache, tmp_path: Path
) -> None:
    original = make_cache(tmp_path / "gone.h5", {"s1": 3, "s2": 2})
    assert command("mpt-train", "--cache", original, *QUICK, "--name", "run").code == 0
    original.rename(store.folder / "moved.h5")
    done = command("mpt-report", "runs/run", "--cache", f"{server}/moved.h5")
    assert done.code == 0 and "moved.h5" in done.err
    assert "no pictures of clips" not in Path("runs/run/report/index.html").read_text()


def test_several_processes_copy_once(url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the ranks of torchrun or the jobs of an array do: one copies, the others wait for it."""
    said: list[str] = []
    monkeypatch.setattr("data_cache.sharing.download.log.info", said.append)

    def waiting() -> list[str]:
        return [line for line in said if line.startswith("waiting for")]

    store.before_a_cache = lambda: wait_for(lambda: len(waiting()) == 2)  # the copy takes until the others wait
    with ThreadPoolExecutor(3) as pool:  # locks exclude threads as they exclude processes
        copies = list(pool.map(local_copy, [url] * 3))
    assert len(set(copies)) == 1 and copies[0].read_bytes() == store.demo.read_bytes()
    assert store.requests.count("GET demo.h5") == 1
    assert len(waiting()) == 2 and all(url in line for line in waiting())


def test_waiting_for_somebody_who_does_not_get_on_ends(url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(download, "_WAIT_SECONDS", 0.05)
    copy = local_copy(url)
    copy.unlink()
    with writer_lock(copy), pytest.raises(Locked, match=f"process {os.getpid()}"):
        local_copy(url)


def test_copies_go_where_the_system_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MPT_DOWNLOADS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert download_folder() == tmp_path / "mpt"
    monkeypatch.setenv("MPT_DOWNLOADS", str(tmp_path / "here"))
    assert download_folder() == tmp_path / "here"


def assert_refused(url: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as refused:
        local_copy(url)
    assert url in str(refused.value)
    left = [path for path in download_folder().rglob("*") if path.is_file() and ".part-" not in path.name]
    assert left == [], "a bad copy must not stay"


def test_what_arrives_damaged_is_refused(url: str, store: Store) -> None:
    path = store.demo
    flip(path, 4 * path.stat().st_size)
    assert_refused(url, InvalidFile, "does not match its checksum file")
    (store.folder / "demo.h5.sha256").unlink()
    assert_refused(url, InvalidFile, "s/EP0")
    path.write_text("<html>Please sign in</html>")
    assert_refused(url, InvalidFile, "not an HDF5 file .*<html>")
    (store.folder / "demo.h5.sha256").write_text("<html>Please sign in</html>")
    assert_refused(url, InvalidFile, "not an HDF5 file")


def parts() -> list[Path]:
    return list(download_folder().rglob("*.part-*"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_copy_that_breaks_off_goes_on(url: str, store: Store, ranges: bool) -> None:
    data, store.ranges, store.cut_to = store.demo.read_bytes(), ranges, 30_000
    with pytest.raises(UsageError, match="cannot be read"):
        local_copy(url)
    (part,) = parts()
    arrived = 3 * 30_000 if ranges else 30_000  # in three tries
    assert store.requests.count("GET demo.h5") == 3 and part.read_bytes() == data[:arrived]

    def on_second_thought() -> None:  # the connection breaks once more, and the next try comes to the end
        store.cut_to = 1000 if store.requests.count("GET demo.h5") == 4 else None

    store.sent, store.before_a_cache = 0, on_second_thought
    assert local_copy(url).read_bytes() == data and parts() == []
    assert store.sent - 74 == (len(data) - arrived if ranges else 1000 + len(data)), "and the checksum file"


@pytest.mark.parametrize("when", ["between two calls", "between two tries"])
def test_a_copy_that_breaks_off_never_goes_on_with_another_file(
    url: str, store: Store, make_cache: MakeCache, when: str
) -> None:
    other = make_cache(store.folder / "more.h5", {"s": 3}, seed=1)  # of the same size
    assert other.stat().st_size == store.demo.stat().st_size
    store.cut_to, data = 20_000, other.read_bytes()

    def replace() -> None:
        store.before_a_cache = lambda: setattr(store, "cut_to", None)
        other.replace(store.demo)
        shutil.move(f"{other}.sha256", store.folder / "demo.h5.sha256")

    if when == "between two tries":
        store.before_a_cache = lambda: setattr(store, "before_a_cache", replace)
    else:
        with pytest.raises(UsageError):
            local_copy(url)
        replace()
    try:
        assert local_copy(url).read_bytes() == data
    except InvalidFile:
        assert when == "between two tries"
    assert local_copy(url).read_bytes() == data and parts() == []


@pytest.mark.parametrize("claimed", [0, 50_000, 10**6], ids=["another place", "the right place, endless", "beyond"])
def test_a_lie_about_the_rest_is_noticed(url: str, store: Store, claimed: int) -> None:
    data, store.cut_to = store.demo.read_bytes(), 50_000
    tag = f'"{store.demo.stat().st_mtime_ns}"'

    def lie(client: BaseHTTPRequestHandler) -> None:
        if "Range" in client.headers:
            body = (bytes(10**5) for _ in range(100))
            answer(client, 206, body, Content_Range=f"bytes {claimed}-{10**9}/{10**9}", Content_Length=10**7)
        else:
            answer(client, 200, [data[:50_000]], Content_Length=len(data), ETag=tag)
            client.close_connection = True

    store.odd["demo.h5"] = lie
    assert_refused(url, InvalidFile, "goes on after")
    assert parts() == []


def test_a_planted_part_is_never_followed(url: str, store: Store, tmp_path: Path) -> None:
    store.cut_to = 5000
    with pytest.raises(UsageError):
        local_copy(url)
    (part,), victim, store.cut_to = parts(), tmp_path / "victim", None
    for plant in (part.symlink_to, part.hardlink_to):
        victim.write_text("precious")
        part.unlink(missing_ok=True)
        plant(victim)
        (copy := local_copy(url)).unlink()
        assert victim.read_text() == "precious" and not copy.exists()


@pytest.mark.parametrize(
    "url", ["gopher9://x/d.h5", "ftp://x/d.h5", "gs://x/d.h5", "github://a:b@x/d.h5", "http://[x/d.h5"]
)
def test_what_is_no_address_ends_in_one_line(command: Command, url: str) -> None:
    done = command("mpt-cache", "info", url)
    assert done.code == 2 and url.rpartition("@")[2] in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("end", ["/..", "/a\\..\\..\\", "/.", ""])
def test_no_address_names_a_file_outside_the_folder_of_its_copy(end: str) -> None:
    name = download._name_of(f"http://127.0.0.1{end}")
    assert name not in (".", "..") and "/" not in name and "\\" not in name


def test_a_download_may_take_long_if_it_is_never_silent(
    server: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "SILENT_SECONDS", 1.0)
    data = store.demo.read_bytes()
    step = -(-len(data) // 8)

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(data), step):
            time.sleep(0.2)
            yield data[start : start + step]

    store.odd["slow.h5"] = lambda client: answer(client, body=slowly(), Content_Length=len(data))
    assert local_copy(f"{server}/slow.h5").read_bytes() == data
    assert download.Remote(f"{server}/slow.h5").files.client_kwargs["timeout"].total is None


@pytest.mark.parametrize("answered", [False, True], ids=["before the headers", "after the first bytes"])
def test_a_silent_server_is_given_up(
    server: str, store: Store, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    monkeypatch.setattr(remote, "SILENT_SECONDS", 0.3)
    over = threading.Event()

    def silent(client: BaseHTTPRequestHandler) -> None:
        if answered:
            answer(client, body=[b"x" * 100], Content_Length=1000)
        if not answered or client.command == "GET":
            over.wait(20)

    store.odd["silent.h5"] = silent
    try:
        assert_refused(f"{server}/silent.h5", UsageError, "silent for 0.3 s")
    finally:
        over.set()


@pytest.mark.parametrize("kind", ["HDF5", "HTML", "HDF5 of a stated length", "more than HEAD says"])
def test_no_more_is_read_than_the_file_can_have(server: str, url: str, store: Store, kind: str) -> None:
    data = store.demo.read_bytes()
    first = b"<html>" if kind == "HTML" else data
    most, sent = 10**9, [0]

    def endless() -> Iterator[bytes]:
        yield first
        while sent[0] < most:
            sent[0] += 10**5
            yield bytes(10**5)

    def lying(client: BaseHTTPRequestHandler) -> None:
        stated = {"HDF5 of a stated length": most + len(first), "more than HEAD says": len(data)}.get(kind)
        known = stated is not None and (client.command == "HEAD" or stated > most)
        answer(client, body=endless(), **({"Content_Length": stated} if known else {}))

    store.odd["endless.h5"] = lying
    assert_refused(f"{server}/endless.h5", InvalidFile, "goes on after")
    assert sent[0] < most / 10
    store.odd["demo.h5.sha256"] = lying
    assert local_copy(url).read_bytes() == data, "an endless checksum file is none"


def test_what_a_server_answers_is_said(server: str, store: Store) -> None:
    said = {302: "file:///etc/passwd", 403: "may not be read; check your credentials", 404: "is not there"}
    for status, words in {**said, 410: "is not there", 429: "429", 500: "500", 503: "503"}.items():
        store.odd["odd.h5"] = lambda client, status=status: answer(client, status, Content_Length=0, Location=said[302])
        assert_refused(f"{server}/odd.h5", UsageError, words)
    assert_refused("http://127.0.0.1:1/odd.h5", UsageError, "cannot be reached")


@pytest.mark.usefixtures("plain_report")
def test_passwords_and_signatures_are_neither_stored_nor_printed(
    command: Command, server: str, store: Store, make_cache: MakeCache, tmp_path: Path
) -> None:
    make_cache(store.folder / "two.h5", {"s1": 3, "s2": 2})
    url = server.replace("://", "://me:SECRET@") + "/two.h5?X-Amz-Signature=SECRET"
    done = command("mpt-train", "--cache", url, *QUICK, "--name", "run")
    assert done.code == 0, done.err
    assert "GET two.h5.sha256" in store.requests, "the query belongs to the address of the checksum file too"
    report = command("mpt-report", "runs/run")
    gone = command("mpt-cache", "info", url.replace("two", "absent"))
    assert gone.code == 2 and f"{server.partition('://')[2]}/absent.h5" in gone.err
    assert "SECRET" not in done.err + done.out + report.err + report.out + gone.err
    assert f"{server.partition('://')[2]}/two.h5" in RunFolder(Path("runs/run")).environment["command"]
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and b"SECRET" in path.read_bytes()]
    assert holding == []


def test_a_copy_that_does_not_fit(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 10))
    with pytest.raises(NoSpace, match="a copy would need"):
        local_copy(url)


def test_without_fsspec_the_extra_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UsageError, match=r"\[remote\]"):
        local_copy(url)
