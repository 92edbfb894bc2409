"""`mpt-cache` as a user meets it."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from builds import gzipped_copy, wait_for
from commands import Command, MakeCache, Spawn

from data_cache.read.reader import CacheReader


@pytest.fixture
def cache(make_cache: MakeCache, tmp_path: Path) -> Path:
    return make_cache(tmp_path / "casme2.h5", {"sub01": 3, "sub02": 2}, dataset="casme2")


def test_info_for_people_and_for_programs(command: Command, cache: Path) -> None:
    shown = command("mpt-cache", "info", cache)
    assert shown.code == 0
    said = ("casme2", "5 of 2 subjects", "8 × 32 × 32", "alpha 20.0", "test data", "the onset frame", "format 1.1")
    assert [words for words in said if words not in shown.out] == []
    described = json.loads(command("mpt-cache", "info", "--json", cache).out)
    assert described["clips"] == 5 and described["subjects"] == 2 and described["recipe"]["alpha"] == 20.0
    assert sum(described["emotions"].values()) == 5
    assert described["licence_notice"] == "test data" and described["bytes"] == cache.stat().st_size
    assert described["file_sha256"] == hashlib.sha256(cache.read_bytes()).hexdigest()


def test_the_checksum_file_is_what_sha256sum_expects(command: Command, cache: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum here")
    check = ["sha256sum", "--check", "--strict", f"{cache.name}.sha256"]
    assert subprocess.run(check, cwd=cache.parent, capture_output=True).returncode == 0
    made = subprocess.run(["sha256sum", cache.name], cwd=cache.parent, capture_output=True, text=True).stdout
    Path(f"{cache}.sha256").write_text(made)
    assert command("mpt-cache", "verify", cache).code == 0
    for note, code, said in (("0" * 64 + "  c", 4, "does not match its"), ("<html>", 0, "is no")):
        Path(f"{cache}.sha256").write_text(note)
        done = command("mpt-cache", "verify", cache)
        assert done.code == code and f"{said} checksum file" in done.out


def test_verify_says_how_much_it_checked_and_nothing_else(command: Command, cache: Path) -> None:
    done = command("mpt-cache", "verify", cache)
    assert done.code == 0 and done.out == f"{cache}: OK, 5 clips verified\n"
    assert json.loads(command("mpt-cache", "verify", cache, "--json").out)["problems"] == []


def test_every_damaged_clip_is_listed(command: Command, cache: Path) -> None:
    with h5py.File(cache, "r+") as file:
        for row in (0, 3):
            file["clips/sha256"][row] = "0" * 64
    done, damaged = command("mpt-cache", "verify", cache), ["sub01/EP00", "sub02/EP00"]
    assert done.code == 4 and re.findall(r"clip (\S+)", done.out) == damaged
    listed = json.loads(command("mpt-cache", "verify", cache, "--json").out)["problems"]
    assert [problem["where"] for problem in listed if "clip" in problem["message"]] == damaged


def test_merge_joins_caches_and_overwrites_nothing(command: Command, make_cache: MakeCache, tmp_path: Path) -> None:
    for name in "ab":
        make_cache(tmp_path / f"{name}.h5", {name: 2})
    done = command("mpt-cache", "merge", "a.h5", "b.h5", "-o", "c.h5")
    assert done.code == 0, done.err
    assert CacheReader("c.h5").clips.subject == ["a", "a", "b", "b"]
    assert CacheReader("c.h5").attributes.provenance["merged_from"] == ["a.h5", "b.h5"]
    before = Path("c.h5").read_bytes()
    again = command("mpt-cache", "merge", "a.h5", "-o", "c.h5")
    assert again.code == 2 and "exists already" in again.err and Path("c.h5").read_bytes() == before
    assert command("mpt-cache", "merge", "a.h5", "-o", "c.h5", "--force").code == 0
    twice = command("mpt-cache", "merge", "a.h5", "a.h5", "-o", "d.h5")
    assert twice.code == 2 and "clip a/EP00 is in a.h5 and again" in twice.err


@pytest.mark.parametrize("killed", ["after the rename", "in the middle"])
def test_a_killed_merge_is_finished_by_the_same_command(
    command: Command, make_cache: MakeCache, spawn: Spawn, tmp_path: Path, killed: str
) -> None:
    for name in "ab":
        make_cache(tmp_path / f"{name}.h5", {name: 2}, size=128)
    program = spawn("mpt-cache", "merge", "a.h5", "b.h5", "-o", "c.h5")
    wait_for(
        lambda: (tmp_path / "c.h5").exists() or (killed != "after the rename" and any(tmp_path.glob("c.h5.tmp-*")))
    )
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    for again in (program.pid, None):  # what a kill leaves, if it came in time; and a second time, when all is well
        done = command("mpt-cache", "merge", "b.h5", "a.h5", "-o", "c.h5")
        assert done.code == 0 and ("up to date" in done.out or again), done.err
        assert {path.name for path in tmp_path.glob("c.h5*")} == {"c.h5", "c.h5.sha256"}
        assert command("mpt-cache", "verify", "c.h5").code == 0
        (tmp_path / "c.h5.sha256").unlink()
        for name in ("c.h5.tmp-1", "c.h5.sha256.tmp-1"):
            (tmp_path / name).touch()


def test_a_fingerprint_has_no_pixels_and_proves_a_rebuild(command: Command, cache: Path, make_cache: MakeCache) -> None:
    done = command("mpt-cache", "export", cache, "-o", "m.json")
    assert done.code == 0 and done.out == "m.json\n"
    manifest = json.loads(Path("m.json").read_text())
    assert len(manifest["clips"]) == 5 and manifest["recipe"]["alpha"] == 20.0
    assert len(Path("m.json").read_bytes()) < 10_000
    same = {"subjects": {"sub01": 3, "sub02": 2}, "dataset": "casme2"}
    rebuilt, first = make_cache(Path("rebuilt.h5"), **same), make_cache(Path("first.h5"), **same, onset_frames=False)
    for path in (rebuilt, gzipped_copy(rebuilt, Path("zipped.h5")), first):  # the last as in format 1.0
        done = command("mpt-cache", "verify", path, "--against", "m.json")
        assert done.code == 0 and "the same as m.json" in done.out


def test_every_difference_to_a_fingerprint_is_named(command: Command, cache: Path) -> None:
    command("mpt-cache", "export", cache, "-o", "m.json")
    manifest = json.loads(Path("m.json").read_text())
    manifest["clips"][0]["sha256"] = "0" * 64
    manifest["clips"][1]["emotion"] = "joy"
    manifest["clips"][2]["clip"] = "EP99"
    manifest["clips"][3]["onset_frame_sha256"] = "0" * 64
    del manifest["clips"][4]["onset_frame_sha256"]  # as in format 1.0
    manifest["provenance"]["versions"] = {"numpy": "1.0"}
    Path("m.json").write_text(json.dumps(manifest))
    done = command("mpt-cache", "verify", cache, "--against", "m.json")
    assert done.code == 4
    clips = CacheReader(cache).clips
    for words in (
        "sub01/EP00 has other pixels",
        f"sub01/EP01 is annotated differently: emotion joy → {clips.emotion[1]}",
        "sub01/EP02 is in the cache only",
        "sub01/EP99 is in the fingerprint only",
        "sub02/EP00 has another onset frame",
        "numpy 1.0 → None",
    ):
        assert words in done.out, done.out
    manifest["format"] = "mpt-manifest"  # as fingerprints were called first
    Path("m.json").write_text(json.dumps(manifest))
    assert command("mpt-cache", "verify", cache, "--against", "m.json").code == 4
    Path("m.json").write_text(json.dumps({**manifest, "dataset": "samm"}))
    done = command("mpt-cache", "verify", cache, "--against", "m.json", "--json")
    assert done.code == 4 and [problem["where"] for problem in json.loads(done.out)["problems"]] == ["dataset"]
    Path("m.json").write_text(json.dumps({**manifest, "recipe": {**manifest["recipe"], "alpha": 10.0}}))
    stale = command("mpt-cache", "verify", cache, "--against", "m.json")
    assert stale.code == 5 and "alpha 10.0 → 20.0" in stale.out and "pixels" not in stale.out
    later = '{"format": "mpt-fingerprint", "format_version": "9.0"}'
    for text in ("{}", "<html>", "[" * 100_000, later, later.replace("9", "1")):
        Path("m.json").write_text(text)
        assert command("mpt-cache", "verify", cache, "--against", "m.json").code == 4
    assert command("mpt-cache", "verify", cache, "--against", "absent.json").code == 2


def test_the_fingerprint_tells_nothing_of_its_maker(command: Command, tmp_path: Path, drawn_set: Path) -> None:
    command("mpt-preprocess", "casme2", "--root", drawn_set, "--size", 32, "--levels", 2, "-j", 1, "-o", "c.h5")
    command("mpt-cache", "export", "c.h5")
    text = Path("c.fingerprint.json").read_text()
    assert str(tmp_path) not in text and str(drawn_set) not in text and drawn_set.name not in text
    assert "opencv" in text


def test_an_export_overwrites_nothing(command: Command, cache: Path) -> None:
    before = cache.read_bytes()
    for output, *force in ((".", "--force"), ("casme2.h5",)):
        done = command("mpt-cache", "export", cache, "-o", output, *force)
        assert done.code == 2 and output in done.err and cache.read_bytes() == before


def test_a_damaged_cache_is_never_handed_on(command: Command, cache: Path, tmp_path: Path) -> None:
    with h5py.File(cache, "r+") as file:
        file["clips/sha256"][1] = "0" * 64
    done = command("mpt-cache", "export", cache)
    assert done.code == 4 and "sub01/EP01" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["casme2.h5", "casme2.h5.sha256"]


def test_preview_shows_the_clips_asked_for(command: Command, cache: Path, tmp_path: Path) -> None:
    done = command("mpt-cache", "preview", cache, "--frames", 3)
    assert done.code == 0 and "test data" in done.err
    all_five = cv2.imread(str(tmp_path / "casme2.png"))
    assert all_five is not None
    assert command("mpt-cache", "preview", cache, "sub02/*", "-o", "two.png", "--frames", 3).code == 0
    two = cv2.imread("two.png")
    assert two.shape[1] == all_five.shape[1] and two.shape[0] < 0.6 * all_five.shape[0]
    assert len(np.unique(two)) > 50
    wrong = command("mpt-cache", "preview", cache, "sub02/EP07", "-o", "none.png")
    assert wrong.code == 2 and "no clip is called 'sub02/EP07'" in wrong.err and "sub02/EP0" in wrong.err
    assert command("mpt-cache", "preview", cache, "-o", "x.jpg").code == 2


@pytest.mark.parametrize("name", ["x" * 300 + ".json", "file/f.json"])
def test_what_the_system_refuses_is_one_line(command: Command, cache: Path, name: str) -> None:
    Path("file").touch()
    done = command("mpt-cache", "export", cache, "-o", name)
    assert done.code == 2 and len(done.err.splitlines()) == 1 and name[:4] in done.err, done.err
