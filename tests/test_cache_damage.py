"""Every way in which a file can be bad is found, and said in one clear line with the documented exit code."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data_cache.errors import InvalidFile, MptError, UsageError
from data_cache.opening import read_attribute
from data_cache.reader import CacheReader
from data_cache.schema import FIELDS, IMAGE_FIELDS
from data_cache.store import merge
from data_cache.validate import errors_in, require_valid, validate
from train.clips import open_clips

Command = Callable[..., Any]
MakeCache = Callable[..., Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, make_cache: MakeCache) -> Path:
    """A cache of nine small clips."""
    return make_cache(tmp_path_factory.mktemp("sound") / "sound.h5", {"s1": 4, "s2": 5}, size=24, frames=4)


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to damage, without its checksum file."""
    return Path(shutil.copy(sound, tmp_path / "copy.h5"))


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ (1 << bit % 8)]))


def everything_in(path: Path) -> dict[str, Any]:
    """All that stock HDF5 finds in a cache."""
    with h5py.File(path, locking=False) as file:
        content: dict[str, Any] = {field.path: file[field.path][...].tobytes() for field in FIELDS}
        return content | {name: read_attribute(file, name) for name in file.attrs}


def train_on(path: Path) -> None:
    """What the trainer does first: open the cache and read every clip."""
    clips = open_clips([path])
    for field in IMAGE_FIELDS:
        out = np.empty((1, *clips.image_shape(field.name)), np.uint8)
        for clip in range(len(clips)):
            clips.read_into(field.name, [clip], out)


def stored_pixels(path: Path) -> list[tuple[range, str]]:
    """Which bytes of the file hold the pixels of which clip, according to stock HDF5."""
    with CacheReader(path) as reader:
        keys = reader.clips.keys
    found = []
    with h5py.File(path, locking=False) as file:
        for field in IMAGE_FIELDS:
            for number in range(len(keys)):
                chunk = file[field.path].id.get_chunk_info(number)
                found.append((range(chunk.byte_offset, chunk.byte_offset + chunk.size), keys[chunk.chunk_offset[0]]))
    return found


def check_flips(original: Path, copy: Path, bits: np.ndarray) -> dict[str, int]:
    """Flip one bit at a time; count what became of it."""
    counts = {"clip named": 0, "refused at once": 0, "unused byte": 0}
    content, pixels = everything_in(original), stored_pixels(original)
    for bit in bits.tolist():
        flip(copy, bit)
        key = next((key for place, key in pixels if bit // 8 in place), None)
        errors = errors_in(validate(copy))
        if key is not None:
            assert [error.where for error in errors] == [key], f"bit {bit} lies in {key}"
            with pytest.raises(InvalidFile, match=key):
                train_on(copy)
            counts["clip named"] += 1
        elif errors:
            with pytest.raises(InvalidFile):
                train_on(copy)
            counts["refused at once"] += 1
        else:
            assert everything_in(copy) == content, f"bit {bit} changed the content, and nobody noticed"
            train_on(copy)
            counts["unused byte"] += 1
        flip(copy, bit)
    assert copy.read_bytes() == original.read_bytes()
    return counts


def test_every_flipped_bit_is_found_or_lies_in_an_unused_byte(
    sound: Path, copy: Path, rng: np.random.Generator
) -> None:
    counts = check_flips(sound, copy, rng.integers(0, sound.stat().st_size * 8, 40))
    assert counts["clip named"] > 20


@pytest.mark.parametrize("mode", ["device", "ram", "stream"])
def test_training_on_a_flipped_bit_names_the_clip_and_goes_on_with_a_sound_copy(
    command: Command, make_cache: MakeCache, tmp_path: Path, mode: str
) -> None:
    path = make_cache(tmp_path / "c.h5", {"s1": 2, "s2": 2})
    place, key = stored_pixels(path)[-1]
    assert key == "s2/EP01"
    tiny = ("--backbone", "test_vit", "--random-weights", "--depth", 1, "--token-channels", 4, "--prompts", 1)
    arguments = ("--cache", path, *tiny, "--epochs", 1, "--device", "cpu", "--cache-mode", mode, "--workers", 1)
    bit = 8 * (place.start + len(place) // 2) + 3
    flip(path, bit)
    refused = command("mpt-train", *arguments)
    assert refused.code == 4, refused.err
    last = refused.err.strip().splitlines()[-1]
    assert last.startswith(f"mpt-train: {path}: clip {key} is corrupt") and "mpt-cache verify" in last
    assert "Traceback" not in refused.err and not list(tmp_path.rglob("folds/*"))
    flip(path, bit)
    done = command("mpt-train", *arguments)
    assert done.code == 0 and "final epoch" in done.out, done.err


def test_flips_outside_the_pixels_too(sound: Path, copy: Path, rng: np.random.Generator) -> None:
    outside = np.ones(sound.stat().st_size, bool)
    for place, _ in stored_pixels(sound):
        outside[place.start : place.stop] = False
    bits = rng.choice(np.flatnonzero(outside), 60) * 8 + rng.integers(0, 8, 60)
    counts = check_flips(sound, copy, bits)
    assert counts["clip named"] == 0 and counts["refused at once"] > 5


@pytest.mark.slow
def test_two_hundred_flips_in_a_cache_of_full_size(
    tmp_path: Path, make_cache: MakeCache, rng: np.random.Generator
) -> None:
    original = make_cache(tmp_path / "full.h5", {"s1": 2, "s2": 2}, size=224, frames=16)
    copy = Path(shutil.copy(original, tmp_path / "copy.h5"))
    counts = check_flips(original, copy, rng.integers(0, original.stat().st_size * 8, 200))
    assert sum(counts.values()) == 200
    assert counts["clip named"] > 180, counts


def test_a_flip_in_a_compressed_cache_names_the_clip(sound: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    merge([sound], tmp_path / "z.h5", gzip=True)
    original, copy = tmp_path / "z.h5", Path(shutil.copy(tmp_path / "z.h5", tmp_path / "copy.h5"))
    check_flips(original, copy, rng.integers(0, original.stat().st_size * 8, 15))


def test_the_checksum_file_finds_even_flips_in_unused_bytes(
    command: Command, sound: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = Path(shutil.copy(sound, tmp_path / "sound.h5"))
    shutil.copy(f"{sound}.sha256", tmp_path)
    assert command("mpt-cache", "verify", path).code == 0
    for bit in rng.integers(0, sound.stat().st_size * 8, 10).tolist():
        flip(path, bit)
        done = command("mpt-cache", "verify", path)
        assert done.code == 4 and "Traceback" not in done.err
        flip(path, bit)


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
        message = str(refused.value)
        assert "\n" not in message and str(path) in message
        assert "incomplete" in message or "not an HDF5 file" in message or "damaged" in message
        assert errors_in(validate(path))
    assert_one_clear_line(command, path, 4, "incomplete", f"{len(whole) - 1} of {len(whole)} bytes", "copy it again")


def test_other_files_under_the_name_of_a_cache(command: Command, tmp_path: Path) -> None:
    page, empty, foreign, zeros = (tmp_path / f"{name}.h5" for name in ("page", "empty", "foreign", "zeros"))
    page.write_text("<!DOCTYPE html><html><title>Sign in</title></html>")
    empty.touch()
    zeros.write_bytes(bytes(100_000))
    with h5py.File(foreign, "w") as file:
        file["data"] = np.zeros(3)
    assert_one_clear_line(command, page, 4, "not an HDF5 file", "<!DOCTYPE html>", "download")
    assert_one_clear_line(command, empty, 4, "0 bytes")
    assert_one_clear_line(command, zeros, 4, "not an HDF5 file")
    assert_one_clear_line(command, foreign, 4, "no MPT cache")
    assert_one_clear_line(command, tmp_path / "absent.h5", 2, "no cache at", "mpt-preprocess")
    assert_one_clear_line(command, tmp_path, 2, "no cache at")


@pytest.mark.parametrize(
    "words",
    [
        ("mpt-cache", "info", "page.h5"),
        ("mpt-cache", "merge", "page.h5", "-o", "out.h5"),
        ("mpt-cache", "export", "page.h5", "--no-images"),
        ("mpt-cache", "export", "page.h5", "--compression", "gzip"),
        ("mpt-cache", "export", "page.h5", "--card", "out"),
        ("mpt-cache", "preview", "page.h5"),
        ("mpt-train", "--cache", "page.h5"),
        ("mpt-train", "--cache", "page.h5", "--dry-run"),
        ("mpt-train", "--cache", "page.h5", "--study", "alpha"),
    ],
    ids=" ".join,
)
def test_every_command_refuses_with_the_same_code_and_leaves_nothing(
    command: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "page.h5").write_text("<html>Sign in</html>")
    done = command(*words)
    assert done.code == 4 and len(done.err.strip().splitlines()) == 1
    assert done.err.startswith(f"{words[0]}: page.h5 is not an HDF5 file")
    assert [path.name for path in tmp_path.iterdir()] == ["page.h5"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.attrs.__delitem__("complete"), "not a finished cache"),
        (lambda file: file.attrs.__setitem__("complete", False), "not a finished cache"),
        (lambda file: file.attrs.__setitem__("format_version", "2.0"), "upgrade"),
        (lambda file: file.attrs.__delitem__("licence_notice"), "licence_notice"),
        (lambda file: file.attrs.__setitem__("recipe", "{not json"), "recipe"),
        (lambda file: file.attrs.__setitem__("recipe", "[]"), "recipe"),
        (lambda file: file.attrs.__setitem__("recipe", "{}"), "recipe"),
        (lambda file: file.__delitem__("clips/emotion"), "clips/emotion"),
        (lambda file: file.__delitem__("motion"), "motion"),
        (lambda file: file.__delitem__("clips"), "clips/subject"),
        (lambda file: (file.__delitem__("motion"), file.create_group("motion")), "motion"),
        (
            lambda file: (file.__delitem__("clips/fps"), file.create_dataset("clips/fps", data=[1.0])),
            "differ in length",
        ),
        (lambda file: (file.__delitem__("motion"), file.create_dataset("motion", (9, 4, 24, 24, 3), "u1")), "chunks"),
        (
            lambda file: (
                file.__delitem__("motion"),
                file.create_dataset("motion", (9, 4, 24, 24, 3), "u1", chunks=(1, 4, 24, 24, 3)),
            ),
            "holds 0 of 9 clips",
        ),
        (
            lambda file: (
                file.__delitem__("motion"),
                file.create_dataset("motion", (9, 4, 24, 24, 3), "u1", chunks=(1, 4, 24, 24, 3), compression="lzf"),
            ),
            "motion",
        ),
    ],
)
def test_files_that_break_the_format(
    command: Command, copy: Path, change: Callable[[h5py.File], None], words: str
) -> None:
    with h5py.File(copy, "r+") as file:
        change(file)
    assert_one_clear_line(command, copy, 4, words)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda file: file.attrs.__setitem__("recipe_digest", "0" * 64), "recipe_digest"),
        (lambda file: file["clips/clip"].__setitem__(1, file["clips/clip"][0]), "s1/EP00 occurs twice"),
        (lambda file: file["clips/fps"].__setitem__(3, 0), "s1/EP03"),
        (lambda file: file["clips/onset"].__setitem__(4, 99), "s2/EP00"),
        (lambda file: file["clips/clipped_fraction"].__setitem__(0, 1.5), "clipped fraction"),
        (lambda file: file["clips/sha256"].__setitem__(2, "0" * 64), "s1/EP02"),
        (lambda file: file["motion"].__setitem__((5, 0, 0, 0), 7 ^ file["motion"][5, 0, 0, 0, 0]), "s2/EP01"),
        (
            lambda file: (
                file.__delitem__("motion"),
                file.create_dataset("motion", data=np.zeros((9, 4, 24, 24, 3), "i2"), chunks=(1, 4, 24, 24, 3)),
            ),
            "int16",
        ),
    ],
)
def test_verify_finds_what_opening_cannot(
    command: Command, copy: Path, change: Callable[[h5py.File], None], where: str
) -> None:
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
