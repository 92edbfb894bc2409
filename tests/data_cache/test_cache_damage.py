"""Every way in which a file can be bad is found, and said in one clear line; what strangers try is in `crafted`."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import Command
from flips import flip, stored_pixels

from data_cache.errors import InvalidFile, MptError, UsageError
from data_cache.read.reader import CacheReader
from data_cache.read.validate import errors_in, require_valid, validate
from train.data.task import open_clips


def assert_one_clear_line(command: Command, path: Path, code: int, *words: str) -> None:
    """All commands and the reader itself refuse the file in the same words."""
    with pytest.raises(MptError) as refused:
        CacheReader(path)
    assert refused.value.exit_code == code
    done = command("mpt-cache", "info", path)
    assert done.code == code and done.out == ""
    assert len(done.err.strip().splitlines()) == 1
    for word in words:
        assert word in done.err, done.err
    assert str(path) in done.err
    verified = command("mpt-cache", "verify", path)
    assert verified.code == code and "Traceback" not in verified.err + verified.out
    with pytest.raises(MptError):
        require_valid(path)
    with pytest.raises(MptError):
        open_clips([path])


def test_truncation_at_any_length(command: Command, sound: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    whole, path = sound.read_bytes(), tmp_path / "short.h5"
    for length in [1, 7, 8, 47, 48, 49, *rng.integers(0, len(whole), 40).tolist(), *range(len(whole) - 4, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidFile) as refused:
            CacheReader(path)
        assert "\n" not in str(refused.value) and str(path) in str(refused.value)
        assert errors_in(validate(path))
    assert_one_clear_line(command, path, 4, "incomplete", f"{len(whole) - 1} of {len(whole)} bytes", "copy it again")


def test_other_files_under_the_name_of_a_cache(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.h5").touch()
    (tmp_path / "zeros.h5").write_bytes(bytes(100_000))
    for name, code in (("empty.h5", 4), ("zeros.h5", 4), ("absent.h5", 2), (".", 2)):
        assert_one_clear_line(command, tmp_path / name, code)


@pytest.mark.parametrize(
    "typed",
    [
        "mpt-cache info page.h5",
        "mpt-cache merge page.h5 -o out.h5",
        "mpt-cache export page.h5",
        "mpt-cache preview page.h5",
        "mpt-train --cache page.h5",
        "mpt-train --cache page.h5 --dry-run",
        "mpt-train --cache page.h5 --study alpha",
    ],
)
def test_every_command_refuses_a_login_page_and_leaves_nothing(command: Command, tmp_path: Path, typed: str) -> None:
    (tmp_path / "page.h5").write_text("<html>Sign in</html>")
    done = command(*typed.split())
    assert done.code == 4 and len(done.err.strip().splitlines()) == 1 and "page.h5" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["page.h5"]


Change = Callable[[h5py.File], None]
PIXELS = (9, 4, 24, 24, 3)
CLIP = (1, *PIXELS[1:])


def says(name: str, value: object) -> Change:
    """Another attribute, or another value of a row."""
    return lambda file: file.attrs.__setitem__(name, value)


def row(field: str, number: int | tuple[int, ...], value: object) -> Change:
    return lambda file: file[field].__setitem__(number, value)


def remade(field: str, *given: object, **how: object) -> Change:
    """Another data set in the place of a field; nothing where nothing is given."""

    def change(file: h5py.File) -> None:
        del file[field]
        if given or how:
            file.create_dataset(field, *given, **how)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.attrs.__delitem__("complete"), "not a finished cache"),
        (says("complete", False), "not a finished cache"),
        (says("format_version", "2.0"), "2.0"),
        (lambda file: file.attrs.__delitem__("licence_notice"), "licence_notice"),
        (says("recipe", "{not json"), "recipe"),
        (says("recipe", "[]"), "recipe"),
        (says("recipe", "{}"), "recipe"),
        (remade("clips/emotion"), "clips/emotion"),
        (remade("motion"), "motion"),
        (remade("clips"), "clips/subject"),
        (lambda file: (file.__delitem__("motion"), file.create_group("motion")), "motion"),
        (remade("clips/fps", None, data=[1.0]), "clips/fps"),
        (remade("motion", PIXELS, "u1"), "chunks"),
        (remade("motion", PIXELS, "u1", chunks=CLIP), "holds 0 of 9"),
        (remade("motion", PIXELS, "u1", chunks=CLIP, compression="lzf"), "motion"),
        (remade("motion", data=np.zeros(PIXELS, "i2"), chunks=CLIP), "int16"),
        (row("clips/subject", 2, b"../../etc"), "../../etc"),
        (row("clips/clip", 2, b"a\x1b[2J"), "x1b"),
        (row("clips/emotion", 2, b"\xff\xfe"), "clips/emotion"),
        (says("dataset", 7), "dataset"),
        (says("licence_notice", ["a", "b"]), "licence_notice"),
        (says("provenance", '{"a": NaN}'), "provenance"),
        (says("recipe", '{"frames": true, "size": 24}'), "frames"),
    ],
)
def test_files_that_break_the_format(command: Command, copy: Path, change: Change, words: str) -> None:
    with h5py.File(copy, "r+") as file:
        change(file)
    assert_one_clear_line(command, copy, 4, words)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (says("recipe_digest", "0" * 64), "recipe_digest"),
        (says("recipe", '{"frames": 4, "size": 24, "alpha": 1.0}'), "recipe_digest"),
        (row("clips/clip", 1, b"EP00"), "s1/EP00 occurs twice"),
        (row("clips/fps", 3, 0), "s1/EP03"),
        (row("clips/onset", 4, 99), "s2/EP00"),
        (row("clips/clipped_fraction", 0, 1.5), "clipped fraction"),
        (row("clips/sha256", 2, "0" * 64), "s1/EP02"),
        (lambda file: file["motion"].__setitem__((5, 0, 0, 0), 7 ^ file["motion"][5, 0, 0, 0, 0]), "s2/EP01"),
    ],
)
def test_verify_finds_what_opening_cannot(command: Command, copy: Path, change: Change, where: str) -> None:
    with h5py.File(copy, "r+") as file:
        change(file)
    done = command("mpt-cache", "verify", copy)
    assert done.code == 4 and where in done.out, done.out + done.err
    with pytest.raises(InvalidFile):
        require_valid(copy)
    if where not in ("s1/EP02", "s2/EP01"):  # those two are in the pixels
        with pytest.raises(InvalidFile, match=where):
            open_clips([copy])


def test_bytes_after_the_end_deserve_a_warning(command: Command, copy: Path) -> None:
    with copy.open("ab") as file:
        file.write(b"<html>")
    done = command("mpt-cache", "verify", copy)
    assert done.code == 0 and "warning" in done.out and "6 bytes after its end" in done.out
    assert command("mpt-cache", "verify", "--quick", copy).code == 0


def test_quick_reads_no_pixels(command: Command, copy: Path, sound: Path) -> None:
    flip(copy, 8 * next(place.start for place, key in stored_pixels(sound) if key == "s1/EP03"))
    assert command("mpt-cache", "verify", "--quick", copy).code == 0
    done = command("mpt-cache", "verify", copy)
    assert done.code == 4 and "s1/EP03" in done.out


def test_a_file_that_may_not_be_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(UsageError, match="may not be read"):
        CacheReader(copy)
