"""Go on with a build, cut it into shares, change what it is made of: the cache is whole, or it is made anew."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builds import SIZE, receipts, same_content, shards_in

from data_cache.read.reader import CacheReader

Command = Callable[..., Any]
Spawn = Callable[..., "subprocess.Popen[str]"]


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
