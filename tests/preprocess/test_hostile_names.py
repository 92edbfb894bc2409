"""Names of files and of data sets that programs stumble over."""

import json
import os
from pathlib import Path

import official_sets as official
import pytest
from builds import SMALL
from commands import Command
from official_sets import GOOD

from data_cache import CacheReader
from data_cache.read.validate import validate

OLD_NAME = b"\xcd\xc1\xcf\xf1"
"""A word as archives packed under Chinese Windows hold it: no UTF-8."""


def test_file_names_in_another_encoding_are_read(tmp_path: Path, command: Command) -> None:
    old_name = os.fsdecode(OLD_NAME)
    official.casme2_tree(tmp_path / "set", GOOD)
    root = (tmp_path / "set").rename(tmp_path / old_name)
    folder = root / "Cropped/sub01/EP01_01"
    for number in range(1, 7):
        (folder / f"reg_img{number}.jpg").rename(folder / f"{old_name}_{number}.jpg")
    (root / "Cropped/sub02" / old_name).mkdir()
    done = command("mpt-preprocess", "check", "casme2", "--root", root, "--json")
    assert done.code == 3 and "Traceback" not in done.err
    texts = [anomaly["found"] for anomaly in json.loads(done.out)["anomalies"]]
    assert f"1 folders have no row in the sheet: sub02/{old_name}" in texts
    assert "\\udccd" in command("mpt-preprocess", "check", "casme2", "--root", root).out
    done = command("mpt-preprocess", "casme2", "--root", root, "-o", "a.h5", "--log-file", "log.jsonl", *SMALL)
    assert done.code == 0, done.err
    assert validate(Path("a.h5")) == []
    assert CacheReader("a.h5").attributes.provenance["source_folder"] == root.name
    assert all(json.loads(line)["status"] == "done" for line in Path("log.jsonl").read_text().splitlines())
    assert command("mpt-cache", "export", "a.h5").code == 0


def test_a_video_that_opencv_cannot_name_is_refused(tmp_path: Path, command: Command) -> None:
    """OpenCV ends the whole process when a path is no UTF-8."""
    folder = tmp_path / os.fsdecode(OLD_NAME)
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(b"")
    (folder / "own.csv").write_text("subject,clip,path,emotion,fps\ns,c,clip.mp4,joy,100\n")
    done = command("mpt-preprocess", "manifest", folder / "own.csv", *SMALL)
    assert done.code == 3 and "rename" in done.err
    official.casme2_tree(tmp_path / "set", GOOD)
    done = command("mpt-preprocess", "preview", "casme2", "--root", tmp_path / "set", "-o", folder, *SMALL[:-2])
    assert done.code == 0 and len(list(folder.glob("*.avif"))) == len(GOOD)  # pictures may go there


def test_the_terminal_is_not_commanded_by_names(tmp_path: Path, command: Command) -> None:
    official.casme2_tree(tmp_path, GOOD)
    (tmp_path / "Cropped/sub01/\x1b[2J").mkdir()
    (tmp_path / "Cropped/sub01/EP01_01/reg_img3.jpg").write_bytes(b"")
    (tmp_path / "Cropped/sub01/EP01_01/reg_img3.jpg").rename(tmp_path / "Cropped/sub01/EP01_01/\x1b[31m3.jpg")
    for verb in (("check",), ()):
        done = command("mpt-preprocess", *verb, "casme2", "--root", tmp_path, *(() if verb else SMALL))
        assert done.code == 3
        assert "\x1b" not in done.out + done.err
        assert "\\x1b[31m3.jpg" in done.out + done.err


@pytest.mark.parametrize("name", ["../escape", "a/b", "=name", "x" * 65, ""])
def test_a_data_set_needs_a_plain_name(name: str, tmp_path: Path, command: Command) -> None:
    official.write_frames(tmp_path / "frames", "{}.png".format, range(1, 7))
    (tmp_path / "own.csv").write_text("subject,clip,path,emotion,fps\ns,c,frames,joy,100\n")
    done = command("mpt-preprocess", "manifest", "own.csv", "--name", name, *SMALL)
    if not name:  # as good as none: the file's name counts
        assert done.code == 0 and CacheReader("data_cache/own.h5").attributes.dataset == "own"
        return
    assert done.code == 2 and "--name" in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"frames", "own.csv"}
