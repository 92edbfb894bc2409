"""Go on with a build, or change what it is made of: the cache comes out complete, or it is made anew."""

import os
from pathlib import Path

import pytest
from builds import SIZE, receipts, same_content, shards_in, stop_before_the_merge
from commands import Command, WriteFrames

from data_cache.read.reader import CacheReader


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


def manifest(folder: Path, write_frames: WriteFrames, emotions: dict[str, str]) -> tuple[object, ...]:
    """Write clips of eight frames with these names and emotions; the command that makes a cache of them."""
    for name in emotions:
        write_frames(folder / name, range(1, 9))
    lines = [f"p,{name},{name},{emotion},100\n" for name, emotion in emotions.items()]
    Path("own.csv").write_text("".join(["subject,clip,path,emotion,fps\n", *lines]))
    return ("mpt-preprocess", "manifest", "own.csv", "--size", 32, "--levels", 2, "-j", 1, "-o", "c.h5")


def test_a_damaged_shard_is_made_anew(
    command: Command, drawn_set: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")
    stop_before_the_merge(command, *arguments)
    assert len(shards_in(tmp_path)) == 20
    flipped, cut, empty = sorted(shards_in(tmp_path))[:3]
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 4  # in the middle of the pixels, as zeros after a power cut would be
    flipped.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-1])
    empty.write_bytes(b"")
    with monkeypatch.context() as patch:  # were they damaged after they are checked, the merge would find out
        patch.setattr("preprocess.job.build.is_complete", lambda shard: True)
        assert command(*arguments).code == 4 and not (tmp_path / "c.h5").exists()
    done = command(*arguments, "--log-file", "log.jsonl")
    assert done.code == 0, done.err
    assert [each["status"] for each in receipts(tmp_path / "log.jsonl")] == ["reused"] * 17 + ["done"] * 3
    assert same_content(tmp_path / "c.h5", uninterrupted)


def test_a_changed_source_makes_the_cache_stale_and_its_clip_alone_is_made_anew(
    command: Command, tmp_path: Path, write_frames: WriteFrames
) -> None:
    arguments = manifest(tmp_path, write_frames, {"a": "happy", "b": "sad"})
    stop_before_the_merge(command, *arguments)
    write_frames(tmp_path / "b", range(1, 9))
    os.utime(tmp_path / "b" / "reg_img1.jpg", ns=(1, 1))
    assert command(*arguments, "--log-file", "log.jsonl").code == 0
    log = receipts(tmp_path / "log.jsonl")
    assert [(each["clip"], each["status"]) for each in log] == [("p/a", "reused"), ("p/b", "done")]
    os.utime(tmp_path / "a" / "reg_img1.jpg", ns=(1, 1))
    stale = command(*arguments)
    assert stale.code == 5 and "source files changed" in stale.err
    rows = Path("own.csv").read_text()
    for text, cause in (
        (rows.replace("sad", "angry"), "p/b.emotion sad → angry"),
        (rows.replace("happy,100", "happy,50"), "p/a.fps 100.0 → 50.0"),
        (rows + "p,c,a,happy,100\n", "p/c is new"),
        (rows.replace("p,a,a", "q,a,a"), "q/a is new; p/a is gone"),
    ):
        Path("own.csv").write_text(text)
        stale = command(*arguments)
        assert stale.code == 5 and f"is stale: {cause}." in stale.err
    hashed = command(*arguments, "--hash-sources")
    assert hashed.code == 5 and "made without --hash-sources" in hashed.err


@pytest.mark.parametrize("identified", ["by size and date", "by content"])
def test_a_frame_replaced_after_the_scan_is_not_cached_as_the_one_that_was_there(
    command: Command, tmp_path: Path, write_frames: WriteFrames, monkeypatch: pytest.MonkeyPatch, identified: str
) -> None:
    arguments = *manifest(tmp_path, write_frames, dict.fromkeys("abc", "sad")), "--allow-missing"
    arguments += ("--hash-sources",) * (identified == "by content")
    frame, gone = tmp_path / "b" / "reg_img1.jpg", tmp_path / "c" / "reg_img8.jpg"

    def replace(*_: object) -> None:
        status = frame.stat()
        frame.write_bytes((tmp_path / "a" / "reg_img5.jpg").read_bytes())
        if identified == "by content":
            os.utime(frame, ns=(status.st_atime_ns, status.st_mtime_ns))
        gone.unlink()

    with monkeypatch.context() as patch:
        patch.setattr("preprocess.job.build.require_space", replace)  # after the plan, before the work
        done = command(*arguments)
    assert done.code == 3 and str(frame) in done.err and str(gone) in done.err, done.err
    assert list(CacheReader(tmp_path / "c.h5").clips.keys) == ["p/a"]
    write_frames(tmp_path / "c", range(1, 9))
    assert command(*arguments, "--force").code == 0
    assert len(CacheReader(tmp_path / "c.h5")) == 3
