"""Every flipped bit of a cache is found, or lies in a byte that nothing reads."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from builds import gzipped_copy
from commands import Command, MakeCache, Spawn
from flips import check_flips, flip, stored_pixels
from tiny_runs import QUICK


def test_every_flipped_bit_is_found_or_lies_in_an_unused_byte(
    sound: Path, copy: Path, rng: np.random.Generator
) -> None:
    counts = check_flips(sound, copy, rng.integers(0, sound.stat().st_size * 8, 40))
    assert counts["clip named"] > 20


@pytest.mark.parametrize("mode", ["device", "stream"])
def test_training_on_a_flipped_bit_names_the_clip_and_goes_on_with_a_good_copy(
    command: Command, make_cache: MakeCache, tmp_path: Path, mode: str
) -> None:
    path = make_cache(tmp_path / "c.h5", {"s1": 2, "s2": 2})
    place, key = stored_pixels(path)[7]  # of the motion: onset frames come last, and this model reads none
    assert key == "s2/EP01"
    arguments = ("--cache", path, *QUICK, "--epochs", 1, "--cache-mode", mode, "--workers", 1)
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


@pytest.mark.slow
def test_a_process_that_streams_a_flipped_bit_comes_to_its_end(
    spawn: Spawn, make_cache: MakeCache, tmp_path: Path
) -> None:
    """Reading processes that an error left behind once kept it waiting for ever."""
    path = make_cache(tmp_path / "c.h5", {"s1": 2, "s2": 2})
    flip(path, 8 * (stored_pixels(path)[7][0].start + 99))
    program = spawn("mpt-train", "--cache", path, *QUICK, "--epochs", 9, "--cache-mode", "stream")
    said = program.communicate(timeout=120)[0]
    assert program.returncode == 4 and "s2/EP01" in said and "Traceback" not in said, said


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
    original = gzipped_copy(sound, tmp_path / "z.h5")
    copy = Path(shutil.copy(original, tmp_path / "copy.h5"))
    check_flips(original, copy, rng.integers(0, original.stat().st_size * 8, 15))


def test_the_checksum_file_finds_even_flips_in_unused_bytes(
    command: Command, sound: Path, copy: Path, rng: np.random.Generator
) -> None:
    shutil.copy(f"{sound}.sha256", f"{copy}.sha256")
    assert command("mpt-cache", "verify", copy).code == 0
    for bit in rng.integers(0, sound.stat().st_size * 8, 10).tolist():
        flip(copy, bit)
        done = command("mpt-cache", "verify", copy)
        assert done.code == 4 and "Traceback" not in done.err
        flip(copy, bit)
