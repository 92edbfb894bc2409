"""Input that would lead a trusting reader astray: one clear line each, nothing outside, the rest goes on."""

import json
import os
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
from preprocess.datasets.casme2 import casme2

FRAME = "reg_img3.jpg"


def whole_jpeg() -> bytes:
    picture = np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def replace_frame(folder: Path, content: bytes, name: str = FRAME) -> None:
    (folder / FRAME).unlink()
    (folder / name).write_bytes(content)


def loop(folder: Path) -> None:
    (folder / FRAME).unlink()
    (folder / FRAME).symlink_to(folder / "reg_img3b.jpg")
    (folder / "reg_img3b.jpg").symlink_to(folder / FRAME)


def folder_for_frame(folder: Path) -> None:
    (folder / FRAME).unlink()
    (folder / FRAME).mkdir()


def pipe_for_frame(folder: Path) -> None:
    (folder / FRAME).unlink()
    os.mkfifo(folder / FRAME)


def folder_loop(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.symlink_to(folder)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a 30,000×30,000 PNG header": (
        lambda f: replace_frame(f, png_header(30_000, 30_000), "reg_img3.png"),
        "30000×30000",
    ),
    "a page named .jpg": (lambda f: replace_frame(f, b"<html>404</html>"), "is no JPEG, PNG, BMP or TIFF image"),
    "an empty file": (lambda f: replace_frame(f, b""), "0 bytes"),
    "a truncated JPEG": (lambda f: replace_frame(f, whole_jpeg()[:-40]), "is a truncated JPEG"),
    "a loop of links": (loop, "no regular file"),
    "a loop of folders": (folder_loop, "there is no folder"),
    "a folder for a frame": (folder_for_frame, "is a folder, expected an image"),
    "a pipe for a frame": (pipe_for_frame, "no regular file"),
    "two frames 3": (lambda f: (f / "reg_img03.jpg").write_bytes(b""), "two images with frame number 3"),  # type: ignore
}
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
    stderr = done.err
    assert done.code == 3 and "Traceback" not in stderr
    for key, message in expected.items():
        (line,) = [line for line in stderr.splitlines() if line.startswith(f"  {key}: ")]
        assert message in line
    assert all(message in stderr for _, message in ROWS.values())
    assert f"{len(DAMAGE) + len(ROWS)} of {len(DAMAGE) + len(ROWS) + 2} clips cannot be used" in stderr
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


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    hostile_set(tmp_path)
    for clip in casme2(tmp_path).clips:
        assert all(path.resolve().is_relative_to(tmp_path / "Cropped") for path in clip.frames)


def test_a_preview_stays_in_its_folder(tmp_path: Path, command: Command) -> None:
    root, output = tmp_path / "set", tmp_path / "pictures"
    hostile_set(root)
    before = everything_below(root)
    small = SMALL[:-2]
    done = command("mpt-preprocess", "preview", "casme2", "sub01", "sub03/EP00", "--root", root, "-o", output, *small)
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


@pytest.mark.parametrize(
    ("row", "message"),
    [
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
    ],
)
def test_a_hostile_row_fails_alone(row: str, message: str, tmp_path: Path, command: Command) -> None:
    official.write_frames(tmp_path / "frames", "{}.png".format, range(1, 7))
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "text.mp4").write_text("not a video")
    write_video(tmp_path / "video.avi", np.zeros((6, 24, 32, 3), np.uint8), rate=30)
    table = f"subject,clip,path,emotion,onset,offset,fps\ngood,one,frames,joy,,,100\n{row}\n"
    (tmp_path / "own.csv").write_text(table, encoding="utf-8")
    output = tmp_path / "own.h5"
    done = command("mpt-preprocess", "manifest", tmp_path / "own.csv", "-o", output, "--allow-missing", *SMALL)
    assert done.code == 3 and message in done.err
    assert CacheReader(output).clips.keys == ["good/one"]
