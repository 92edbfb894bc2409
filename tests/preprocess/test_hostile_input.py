"""Input and names that would lead a trusting reader astray: one clear line each, nothing outside, the rest goes on."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import official_sets as official
import pytest
from builds import SMALL
from commands import Command
from official_sets import GOOD, Expression
from oracles import png_header
from videos import write_video

from data_cache import CacheReader
from data_cache.read.validate import validate
from preprocess.datasets.casme2 import casme2

FRAME = "reg_img3.jpg"
JPEG = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8))[1].tobytes()


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def twice(folder: Path) -> None:
    put(FRAME, b"")(folder)
    put("reg_img03.jpg", b"")(folder)


def loop(folder: Path) -> None:
    (folder / FRAME).symlink_to(folder / "reg_img3b.jpg")
    (folder / "reg_img3b.jpg").symlink_to(folder / FRAME)


def folder_loop(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a 30,000×30,000 PNG header": (put("reg_img3.png", png_header(30_000, 30_000)), "30000×30000"),
    "a page named .jpg": (put(FRAME, b"<html>404</html>"), "is no JPEG, PNG, BMP or TIFF image"),
    "an empty file": (put(FRAME, b""), "0 bytes"),
    "a truncated JPEG": (put(FRAME, JPEG[:-40]), "is a truncated JPEG"),
    "a loop of links": (loop, "no regular file"),
    "a loop of folders": (folder_loop, "there is no folder"),
    "a folder for a frame": (lambda folder: (folder / FRAME).mkdir(), "is a folder, expected an image"),
    "a pipe for a frame": (lambda folder: os.mkfifo(folder / FRAME), "no regular file"),
    "two frames 3": (twice, "two images with frame number 3"),
}
"""What is done to a clip's folder where its third frame is gone → what must be said."""
ROWS: dict[str, tuple[dict[int, object], str]] = {
    "a path in a clip name": ({1: "../../escape"}, "is a path, expected a plain name"),
    "an absolute path": ({1: "ABSOLUTE"}, "is a path, expected a plain name"),
    "a Windows path": ({1: "..\\..\\escape"}, "is a path, expected a plain name"),
    "dots": ({1: ".."}, "is a path, expected a plain name"),
    "a path in a subject": ({0: "../sub01"}, "is a path, expected a plain name"),
    "no clip name": ({1: None}, "clip is empty"),
    "a long clip name": ({1: "EP" * 50}, "longer than 64 bytes"),
    "a formula for a number": ({3: "=1+1"}, "onset is '=1+1'"),
    "a formula for a name": ({1: '=HYPERLINK("http://example.org")'}, "clip '=HYPERLINK"),
    "a formula for an emotion": ({8: "=A1"}, "emotion '=A1'"),
    "text for a number": ({5: "ninety"}, "offset is 'ninety', expected a whole number"),
    "a negative number": ({3: -4}, "onset is '-4'"),
    "a number too large": ({5: 99_999_999_999}, "outside 0 to 2147483647"),
    "an apex too large": ({4: 99_999_999_999}, "outside 0 to 2147483647"),
    "billions of frames": ({5: 2_000_000_000}, "are missing"),
    "no onset": ({3: "/"}, "no onset or offset"),
}


def hostile_set(root: Path) -> dict[str, str]:
    """A good set, and beside it one clip for each kind of damage; what must be said of each."""
    clips = [Expression("sub03", f"EP{number:02d}", 1, 3, 6, "disgust") for number in range(len(DAMAGE))]
    others = [Expression("sub09", f"R{number:02d}", 1, 3, 6, "disgust") for number in range(len(ROWS))]
    rows = official.casme2_rows(*GOOD, *clips, *others)
    for row, (changes, _) in zip(rows[-len(ROWS) :], ROWS.values(), strict=True):
        for column, value in changes.items():
            row[column] = str(root / "outside") if value == "ABSOLUTE" else value  # type: ignore[assignment]
    official.casme2_tree(root, [*GOOD, *clips, *others], rows=rows)
    expected = {}
    for clip, (damage, message) in zip(clips, DAMAGE.values(), strict=True):
        (root / "Cropped" / clip.subject / clip.clip / FRAME).unlink()
        damage(root / "Cropped" / clip.subject / clip.clip)
        expected[clip.key] = message
    for name in ("escape", "outside"):  # where a trusting reader would find frames
        official.write_frames(root / name, "reg_img{}.jpg".format, range(1, 7))
    return expected


def everything_below(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")
    }


def test_each_gets_its_line_and_the_rest_goes_through(tmp_path: Path, command: Command) -> None:
    root, output = tmp_path / "set", tmp_path / "out"
    expected = hostile_set(root)
    before = everything_below(tmp_path)
    done = command("mpt-preprocess", "casme2", "--root", root, "-o", output / "casme2.h5", "--allow-missing", *SMALL)
    assert done.code == 3 and "Traceback" not in done.err
    for key, message in expected.items():
        (line,) = [line for line in done.err.splitlines() if line.startswith(f"  {key}: ")]
        assert message in line
    assert all(message in done.err for _, message in ROWS.values())
    assert f"{len(DAMAGE) + len(ROWS)} of {len(DAMAGE) + len(ROWS) + 2} clips cannot be used" in done.err
    assert CacheReader(output / "casme2.h5").clips.keys == [clip.key for clip in GOOD]
    after = {name: status for name, status in everything_below(tmp_path).items() if not name.startswith("out")}
    assert after == before


def test_check_lists_them_all(tmp_path: Path, command: Command) -> None:
    expected = hostile_set(tmp_path)
    done = command("mpt-preprocess", "check", "casme2", "--root", tmp_path, "--json")
    assert done.code == 3
    report = json.loads(done.out)
    found = {anomaly["key"]: anomaly["found"] for anomaly in report["anomalies"] if anomaly["unexpected"]}
    for key, message in expected.items():
        assert message in found[key]
    texts = " ".join(found.values())
    assert all(message in texts for _, message in ROWS.values())


def test_clips_and_previews_stay_in_their_folders(tmp_path: Path, command: Command) -> None:
    root, output = tmp_path / "set", tmp_path / "pictures"
    hostile_set(root)
    for clip in casme2(root).clips:
        assert all(path.resolve().is_relative_to(root / "Cropped") for path in clip.frames)
    before = everything_below(root)
    clips = ("casme2", "sub01", "sub03/EP00")
    done = command("mpt-preprocess", "preview", *clips, "--root", root, "-o", output, *SMALL[:-2])
    assert done.code == 3
    assert "30000×30000" in done.err and f"{output}: 1 clips drawn" in done.err
    assert sorted(path.name for path in output.iterdir()) == ["sub01__EP01_01.avif", "sub01__EP01_01.png"]
    assert everything_below(root) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00s", "is not UTF-8 text"),
        (b"", "lacks the column"),
        (b"name;file\n", "lacks the column subject and clip and path and emotion"),
        (b"subject,clip,path,emotion\n", "lists no clips"),
        (b'subject,clip,path,emotion\na,b,"' + b"x" * 200_000, "is no CSV file"),
        (b"subject,clip,path,emotion\ns,c,f,e\ns,c,f,e\n", "line 3: clip s/c is listed twice"),
    ],
)
def test_a_hostile_manifest_is_one_line(content: bytes, message: str, tmp_path: Path, command: Command) -> None:
    (tmp_path / "own.csv").write_bytes(content)
    done = command("mpt-preprocess", "manifest", tmp_path / "own.csv", "-o", tmp_path / "own.h5")
    assert done.code == 2 and message in done.err and len(done.err.splitlines()) == 1


def test_each_hostile_row_of_a_manifest_fails_alone(tmp_path: Path, command: Command) -> None:
    rows = [
        ("a/b,c,frames,joy,,,", "is a path, expected a plain name"),
        ("a,../c,frames,joy,,,", "is a path, expected a plain name"),
        ('a,"c\x1b[2J",frames,joy,,,', "control characters"),
        ("a,c,,joy,,,", "path is empty"),
        ("a,c,nowhere,joy,,,", "nowhere does not exist"),
        ("a,c,loop,joy,,,", "loop does not exist"),
        (f"a,c,{'x' * 300},joy,,,", "File name too long"),
        ("a,c,notes.txt,joy,,,", "neither a folder of frames nor a video"),
        ("a,c,text.mp4,joy,,,", "cannot be opened as a video"),
        ("a,c,empty,joy,,,", "no numbered image"),
        ("a,c,frames,=joy,,,", "emotion '=joy' is a formula"),
        ("a,c,frames,joy,=1,,", "onset is '=1', expected a whole number"),
        ("a,c,frames,joy,-1,,", "onset is '-1'"),
        ("a,c,frames,joy,1,9" + "9" * 30 + ",", "expected a whole number"),
        ("a,c,frames,joy,1,4000000000,", "outside 0 to 2147483647"),
        ("a,c,frames,joy,3,2,", "onset 3 lies after offset 2"),
        ("a,c,frames,joy,,,nan", "no frame rate"),
        ("a,c,frames,joy,,,1e400", "no frame rate"),
        ("a,c,frames,joy,,,fast", "fps is 'fast', expected a number"),
        ("a,c,video.avi,joy,2,2000000000,", "video.avi has 6 frames (0 to 5), but frame 2000000000 is needed"),
        # common slips, which are guessed at
        ("a,c,frames,joy,3,,100", "fill onset and offset"),
        ("a,c,frames,joy,0.5,0.9,100", "count frames, not seconds"),
        ("a,c,sub\\frames,joy,3,5,100", "write / instead of"),
        ('a,c,frames,joy,3,5,"29,97"', "write a decimal point"),
    ]
    official.write_frames(tmp_path / "frames", "{}.png".format, range(1, 7))
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "text.mp4").write_text("not a video")
    write_video(tmp_path / "video.avi", np.zeros((6, 24, 32, 3), np.uint8), rate=30)
    lines = ["subject,clip,path,emotion,onset,offset,fps", "good,one,frames,joy,,,100"]
    lines += [row.replace("a,c,", f"a,c{line},") for line, (row, _) in enumerate(rows, 3)]
    (tmp_path / "own.csv").write_text("\n".join(lines), encoding="utf-8")
    done = command("mpt-preprocess", "manifest", "own.csv", "-o", "own.h5", "--allow-missing", *SMALL)
    assert done.code == 3
    for number, (_, message) in enumerate(rows, 3):
        keys = (f"  a/c{number}: ", f"  line {number}: ")
        (said,) = [line for line in done.err.splitlines() if line.startswith(keys)]
        assert message in said
    assert CacheReader("own.h5").clips.keys == ["good/one"]


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
    (tmp_path / "Cropped/sub01/\x1b[2J\x9b2J").mkdir()
    (tmp_path / "Cropped/sub01/EP01_01/reg_img3.jpg").unlink()
    (tmp_path / "Cropped/sub01/EP01_01/\x1b[31m3.jpg").write_bytes(b"")
    for arguments in (("check", "casme2"), ("check", "casme2", "--json"), ("casme2", *SMALL)):
        done = command("mpt-preprocess", *arguments, "--root", tmp_path)
        assert done.code == 3
        assert not {"\x1b", "\x9b"} & set(done.out + done.err)
        assert "\\x1b[31m3.jpg" in done.out + done.err or "\\u001b[31m3.jpg" in done.out


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
