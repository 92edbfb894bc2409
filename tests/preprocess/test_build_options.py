"""Options that change how a build is run: stop early, overwrite, tell sources by content."""

import os
import shutil
from functools import partial
from pathlib import Path

import official_sets as official
import pytest
from builds import SMALL
from commands import Command

from data_cache.read.reader import CacheReader
from preprocess.demo import generate
from preprocess.demo.generate import DemoSet
from preprocess.demo.motion import Camera


@pytest.fixture
def build(command: Command, tmp_path: Path) -> Command:
    """Build a cache of the CASME II fixture in `set`."""
    official.casme2_tree(tmp_path / "set")
    return lambda *options: command("mpt-preprocess", "casme2", "--root", "set", *SMALL, "-o", "a.h5", *options)


def test_a_clip_that_is_known_to_fail_is_named_by_a_dry_run_and_stops_fail_fast_before_any_work(
    build: Command, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "set/Cropped/sub09")
    done = build("--fail-fast", "--allow-missing")
    assert done.code == 3 and "sub09/EP09f" in done.err and "there is no folder" in done.err
    done = build("--dry-run")
    assert done.code == 0
    assert "6 clips, 1 that cannot be used" in done.out and "  sub09/EP09f: there is no folder" in done.out
    assert "to do: 6 clips, 6 shards" in done.out
    assert {path.name for path in tmp_path.iterdir()} == {"set"}


def test_fail_fast_stops_at_the_first_clip_that_fails(build: Command, tmp_path: Path) -> None:
    clips = sorted((tmp_path / "set/Cropped").glob("*/*"))
    for clip in (clips[1], clips[4]):
        for frame in clip.iterdir():
            frame.write_bytes(b"no image")
    done = build("--fail-fast", "--allow-missing", "--log-file", "log.jsonl")
    assert done.code == 3
    assert len(Path("log.jsonl").read_text().splitlines()) == 2  # one that went well, one that did not
    assert not Path("a.h5").exists()
    assert len(list(Path("a.h5.parts").glob("*.h5"))) == 1  # kept for the next run


def test_force_overwrites_what_is_no_cache_and_makes_an_up_to_date_one_anew(build: Command) -> None:
    Path("a.h5").write_text("my notes")
    done = build()
    assert done.code == 4 and "--force" in done.err
    assert "--force" not in build("--dry-run").err
    assert Path("a.h5").read_text() == "my notes"
    assert build("--force").code == 0
    before, content = Path("a.h5").stat().st_ino, CacheReader("a.h5").content_digest
    assert len(CacheReader("a.h5")) == len(official.CASME2)
    assert build("--force").code == 0
    assert Path("a.h5").stat().st_ino != before
    assert CacheReader("a.h5").content_digest == content


@pytest.mark.parametrize("hashed", [True, False])
def test_copied_sources_are_the_same_by_content_and_others_by_date(
    build: Command, tmp_path: Path, hashed: bool
) -> None:
    options = ("--hash-sources",) if hashed else ()
    assert build(*options).code == 0
    assert "up to date" in build(*options).err
    frame = tmp_path / "set/Cropped/sub01/EP02_01f/reg_img99.jpg"
    os.utime(frame, ns=(1, 1))  # what a careless copy does
    assert build(*options).code == (0 if hashed else 5)
    other = frame.with_name("reg_img100.jpg").read_bytes()
    frame.write_bytes(other + b"\0" * (len(frame.read_bytes()) - len(other)))
    os.utime(frame, ns=(1, 1))
    done = build(*options)
    assert done.code == 5 and "source files changed" in done.err


def test_the_demo_command_draws_and_caches_in_one_go(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DemoSet", partial(DemoSet, clips_per_class=1, camera=Camera(size=48)))
    arguments = ("demo", "--root", "drawn", "--subjects", 2, "--seed", 3, "-o", "demo.h5", *SMALL)
    done = command("mpt-preprocess", *arguments)
    assert done.code == 0, done.err
    cache = CacheReader("demo.h5")
    assert set(cache.clips.subject) == {"sub01", "sub02"}
    assert cache.attributes.dataset == "demo" and cache.attributes.licence_notice.startswith("Synthetic")
    assert "up to date" in command("mpt-preprocess", *arguments).err


def test_pooling_to_the_apex_leaves_out_clips_without_one(build: Command) -> None:
    done = build("--rank-pool-span", "onset-apex", "--allow-missing")
    assert done.code == 3
    assert "sub04/EP12_01f: its apex is not annotated, which --rank-pool-span onset-apex needs" in done.err
    assert len(CacheReader("a.h5")) == len(official.CASME2) - 1


def test_a_log_that_cannot_be_written_is_said(build: Command, tmp_path: Path) -> None:
    done = build("--log-file", "set")
    assert done.code == 2 and "--log-file set cannot be written (Is a directory)" in done.err


def test_a_sheet_without_rows_is_no_data_set(build: Command, tmp_path: Path) -> None:
    official.write_sheet(tmp_path / "set/CASME2-coding-20140508.xlsx", official.CASME2_HEADER)
    done = build()
    assert done.code == 2 and "lists no clips below its header" in done.err
