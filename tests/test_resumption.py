"""Kill it, interrupt it, run it twice at once, cut it into shares: the cache comes out the same."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_cache.reader import CacheReader
from data_cache.validate import validate

Command = Callable[..., Any]
Spawn = Callable[..., "subprocess.Popen[str]"]
SIZE = ("--size", 64, "--levels", 3)


def wait_for(happens: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def shards_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.h5.parts/*.h5"))


def same_content(one: Path, other: Path) -> bool:
    """Equal in every pixel and every annotation."""
    with CacheReader(one) as a, CacheReader(other) as b:
        columns = [np.array_equal(getattr(a.clips, name), getattr(b.clips, name)) for name in vars(a.clips)]
        pixels = [np.array_equal(a.motion(row), b.motion(row)) for row in range(len(a))]
        images = [np.array_equal(a.dynamic_image(row), b.dynamic_image(row)) for row in range(len(a))]
        digests = a.attributes.source_digest == b.attributes.source_digest
        return all(columns) and all(pixels) and all(images) and digests and a.content_digest == b.content_digest


@pytest.fixture(scope="module")
def uninterrupted(drawn_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed run makes."""
    from unittest.mock import patch

    from preprocess.cli import main

    path = tmp_path_factory.mktemp("reference") / "reference.h5"
    arguments = ["mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", path]
    with patch("sys.argv", list(map(str, arguments))), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return path


def receipts(log: Path) -> dict[str, list[str]]:
    """Clip → what was logged of it, in order."""
    found: dict[str, list[str]] = {}
    for line in log.read_text().splitlines():
        receipt = json.loads(line)
        found.setdefault(receipt["clip"], []).append(receipt["status"])
    return found


@pytest.mark.parametrize("after", [1, 9])
def test_killed_while_making_shards(
    spawn: Spawn, command: Command, drawn_set: Path, uninterrupted: Path, tmp_path: Path, after: int
) -> None:
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")
    program = spawn("mpt-preprocess", *arguments)
    wait_for(lambda: len(shards_in(tmp_path)) >= after)
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    assert not (tmp_path / "c.h5").exists()
    kept = {path: path.stat().st_mtime_ns for path in shards_in(tmp_path)}
    assert after <= len(kept) < 20
    done = command("mpt-preprocess", *arguments, "--log-file", "log.jsonl")
    assert done.code == 0, done.err
    assert "taking over" in done.err
    statuses = [status for (status,) in receipts(tmp_path / "log.jsonl").values()]
    assert statuses.count("reused") == len(kept) and statuses.count("done") == 20 - len(kept)
    assert same_content(tmp_path / "c.h5", uninterrupted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.h5", "c.h5.sha256", "log.jsonl"]


def test_killed_while_merging(
    spawn: Spawn, command: Command, drawn_set: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")
    program = spawn("mpt-preprocess", *arguments)
    wait_for(lambda: any(tmp_path.glob("c.h5.tmp-*")))
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    if not (tmp_path / "c.h5").exists():
        assert len(shards_in(tmp_path)) == 20
        done = command("mpt-preprocess", *arguments, "--log-file", "log.jsonl")
        assert done.code == 0, done.err
        assert set(map(tuple, receipts(tmp_path / "log.jsonl").values())) == {("reused",)}
    assert same_content(tmp_path / "c.h5", uninterrupted)
    assert not list(tmp_path.glob("*.tmp-*"))


@pytest.mark.slow
def test_thirty_kills_at_random_moments(spawn: Spawn, command: Command, tmp_path: Path) -> None:
    """The demo set in full, both cores, the whole process group killed; whatever is left is whole or absent."""
    arguments = ("demo", "--size", 112, "-o", "c.h5")
    assert spawn("mpt-preprocess", *arguments[:-1], "reference.h5").communicate()[0] is not None
    reference = tmp_path / "reference.h5"
    started = time.monotonic()
    spawn("mpt-preprocess", *arguments[:-1], "timing.h5").communicate()
    takes = time.monotonic() - started
    random.seed(1)
    kills = absent = whole = recomputed = 0
    log = tmp_path / "log.jsonl"
    while kills < 30 or whole == 0:
        program = spawn("mpt-preprocess", *arguments, "--log-file", log)
        try:  # the last run is left alone, for on a busy machine none of the others may have come to its end
            program.wait(timeout=random.uniform(0.2, 1.05) * takes if kills < 30 else None)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            kills += 1
        if not (tmp_path / "c.h5").exists():
            assert program.returncode == -signal.SIGKILL
            absent += 1
            continue
        # Finished, or killed after the cache had appeared: it must be whole, and every clip made once.
        whole += 1
        assert validate(tmp_path / "c.h5") == []
        assert same_content(tmp_path / "c.h5", reference)
        assert command("mpt-preprocess", *arguments).code == 0
        done = [statuses.count("done") for statuses in receipts(log).values()]
        recomputed += sum(count > 1 for count in done)
        for path in (tmp_path / "c.h5", tmp_path / "c.h5.sha256", log):
            path.unlink(missing_ok=True)
    figures = f"{kills} kills: {absent} times absent, {whole} times whole; a run takes {takes:.1f} s"
    Path(os.environ.get("MPT_TEST_FIGURES", os.devnull)).write_text(f"{figures}; {recomputed} recomputed\n")
    assert recomputed == 0, figures
    assert whole >= 1 and absent + whole >= 30, figures


@pytest.mark.parametrize(("jobs", "number"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGTERM)])
def test_interrupted_it_finishes_what_is_in_hand(
    spawn: Spawn, drawn_set: Path, uninterrupted: Path, tmp_path: Path, jobs: int, number: int
) -> None:
    arguments = ("casme2", "--root", drawn_set, "--size", 224, "--levels", 3, "-j", jobs, "-o", "c.h5")
    program = spawn("mpt-preprocess", *arguments)
    wait_for(lambda: len(shards_in(tmp_path)) >= 1)
    os.killpg(program.pid, number)
    out = program.communicate(timeout=60)[0]
    assert program.returncode == 130, out
    assert "Traceback" not in out and "KeyboardInterrupt" not in out
    last = out.strip().splitlines()[-1]
    kept = shards_in(tmp_path)
    assert "interrupted" in last and f"preprocess.cli casme2 --root {drawn_set}" in last
    for shard in kept:
        assert validate(shard) == []
    assert not list(tmp_path.glob("*.tmp-*")) and not list(tmp_path.glob("*.lock"))
    if number == signal.SIGINT:  # SIGTERM ends the workers of the group at once, in the middle of a shard perhaps
        assert not list(tmp_path.rglob("*.tmp-*"))
        assert f"; {len(kept)} of 20 clips are done" in last


def test_an_interrupt_before_and_after_the_work_is_no_traceback_either(
    spawn: Spawn, drawn_set: Path, tmp_path: Path
) -> None:
    program = spawn("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")
    wait_for(lambda: any(tmp_path.glob("c.h5.tmp-*")) or (tmp_path / "c.h5").exists())
    os.killpg(program.pid, signal.SIGINT)
    out = program.communicate(timeout=60)[0]
    assert program.returncode in (0, 130), out
    assert "Traceback" not in out
    assert not list(tmp_path.glob("*.tmp-*"))


def test_two_producers_at_once(spawn: Spawn, command: Command, drawn_set: Path, tmp_path: Path) -> None:
    arguments = ("casme2", "--root", drawn_set, "--size", 224, "--levels", 3, "-j", 1, "-o", tmp_path / "c.h5")
    first = spawn("mpt-preprocess", *arguments)
    wait_for(lambda: len(shards_in(tmp_path)) >= 1)
    second = command("mpt-preprocess", *arguments)
    assert second.code == 6
    assert f"process {first.pid} on" in second.err and "Traceback" not in second.err
    out = first.communicate(timeout=60)[0]
    assert first.returncode == 0, out
    assert validate(tmp_path / "c.h5") == []


def test_a_rebuild_does_not_disturb_a_reader(
    command: Command, drawn_set: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")
    assert command("mpt-preprocess", *arguments).code == 0
    reader = CacheReader(tmp_path / "c.h5")
    halfway = [reader.motion(row) for row in range(10)]
    assert command("mpt-preprocess", *arguments, "--alpha", 5, "--force").code == 0
    with CacheReader(uninterrupted) as reference:
        for row in range(20):
            expected = reference.motion(row)
            assert np.array_equal(reader.motion(row), expected)
            assert row >= 10 or np.array_equal(halfway[row], expected)
    assert CacheReader(tmp_path / "c.h5").attributes.recipe["alpha"] == 5


@pytest.mark.parametrize("first", [0, 1])
def test_shares_and_a_merge_equal_one_run(
    command: Command, drawn_set: Path, uninterrupted: Path, tmp_path: Path, first: int
) -> None:
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")
    for k in range(first, first + 3):
        done = command("mpt-preprocess", *arguments, "--shard", f"{k}/3", "--log-file", "log.jsonl")
        assert done.code == 0 and "mpt-cache merge-parts c.h5" in done.err
        if k < first + 2:
            early = command("mpt-cache", "merge-parts", "c.h5")
            assert early.code == 3 and "clips of c.h5 are not made yet" in early.err
    assert all(statuses == ["done"] for statuses in receipts(tmp_path / "log.jsonl").values())
    assert not (tmp_path / "c.h5").exists()
    done = command("mpt-cache", "merge-parts", "c.h5")
    assert done.code == 0, done.err
    assert same_content(tmp_path / "c.h5", uninterrupted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.h5", "c.h5.sha256", "log.jsonl"]
    again = command("mpt-preprocess", *arguments)
    assert again.code == 0 and "up to date" in again.err
    assert command("mpt-cache", "merge-parts", "c.h5").code == 2


def test_shares_with_a_clip_that_cannot_be_used(
    command: Command, drawn_set: Path, tmp_path: Path, write_frames: Callable[..., Path]
) -> None:
    for name in "abcd":
        write_frames(tmp_path / name, range(1, 9))
    (tmp_path / "b" / "reg_img3.jpg").write_bytes(b"no image")
    Path("own.csv").write_text(
        "subject,clip,path,emotion,fps\n" + "".join(f"p,{name},{name},happy,100\n" for name in "abcd")
    )
    arguments = ("manifest", "own.csv", "--size", 32, "--levels", 2, "-j", 1, "-o", "c.h5")
    codes = [command("mpt-preprocess", *arguments, "--shard", f"{k}/2").code for k in (0, 1)]
    assert sorted(codes) == [0, 3]
    refused = command("mpt-cache", "merge-parts", "c.h5")
    assert refused.code == 3 and "p/b" in refused.err and "no JPEG" in refused.err
    assert not (tmp_path / "c.h5").exists()
    allowed = command("mpt-cache", "merge-parts", "c.h5", "--allow-missing")
    assert allowed.code == 3 and "p/b" in allowed.err
    reader = CacheReader("c.h5")
    assert reader.clips.keys == ["p/a", "p/c", "p/d"]
    assert list(reader.attributes.provenance["omitted"]) == ["p/b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--shard", "4/3"), "expected K/N"),
        (("--shard", "half"), "expected K/N"),
        (("--shard", "1/0"), "expected K/N"),
        (("--shard", "1/2", "--scheduler", "tcp://localhost:1"), "choose one"),
        (("--log-file", "/proc/no/log"), "--log-file"),
    ],
)
def test_bad_options_are_explained(command: Command, drawn_set: Path, arguments: tuple[str, ...], words: str) -> None:
    done = command("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1, *arguments)
    assert done.code == 2 and words in done.err and "Traceback" not in done.err


def test_a_dry_run_writes_nothing(command: Command, drawn_set: Path, tmp_path: Path) -> None:
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", 1)
    done = command("mpt-preprocess", *arguments, "--dry-run")
    assert done.code == 0, done.err
    assert "20 clips" in done.out and "to do: 20 clips" in done.out and "disk:" in done.out and "time:" in done.out
    assert list(tmp_path.iterdir()) == []
    assert command("mpt-preprocess", *arguments).code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert "up to date" in command("mpt-preprocess", *arguments, "--dry-run").out
    stale = command("mpt-preprocess", *arguments, "--alpha", 3, "--dry-run")
    assert stale.code == 0 and "alpha 20.0 → 3.0" in stale.out and "to do: 20 clips" in stale.out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_damaged_shard_is_made_anew(
    spawn: Spawn, command: Command, drawn_set: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")
    for k in (1, 2):
        assert command("mpt-preprocess", *arguments, "--shard", f"{k}/2").code == 0
    flipped, cut, empty = sorted(shards_in(tmp_path))[:3]
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 4  # in the middle of the pixels, as zeros after a power cut would be
    flipped.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-1])
    empty.write_bytes(b"")
    refused = command("mpt-cache", "merge-parts", "c.h5")
    assert refused.code == 4 and not (tmp_path / "c.h5").exists()
    done = command("mpt-preprocess", *arguments, "--log-file", "log.jsonl")
    assert done.code == 0, done.err
    statuses = [status for (status,) in receipts(tmp_path / "log.jsonl").values()]
    assert statuses.count("done") == 3
    assert same_content(tmp_path / "c.h5", uninterrupted)


def test_a_changed_source_makes_the_cache_stale_and_its_clip_alone_is_made_anew(
    command: Command, tmp_path: Path, write_frames: Callable[..., Path]
) -> None:
    for name in "ab":
        write_frames(tmp_path / name, range(1, 9))
    Path("own.csv").write_text("subject,clip,path,emotion,fps\np,a,a,happy,100\np,b,b,sad,100\n")
    arguments = ("manifest", "own.csv", "--size", 32, "--levels", 2, "-j", 1, "-o", "c.h5")
    assert command("mpt-preprocess", *arguments, "--shard", "1/2").code == 0
    assert command("mpt-preprocess", *arguments, "--shard", "2/2").code == 0
    write_frames(tmp_path / "b", range(1, 9))
    os.utime(tmp_path / "b" / "reg_img1.jpg", ns=(1, 1))
    assert command("mpt-preprocess", *arguments, "--log-file", "log.jsonl").code == 0
    assert receipts(tmp_path / "log.jsonl") == {"p/a": ["reused"], "p/b": ["done"]}
    os.utime(tmp_path / "a" / "reg_img1.jpg", ns=(1, 1))
    stale = command("mpt-preprocess", *arguments)
    assert stale.code == 5 and "the source files or their annotation changed" in stale.err
    Path("own.csv").write_text(Path("own.csv").read_text().replace("sad", "angry"))
    assert command("mpt-preprocess", *arguments).code == 5
