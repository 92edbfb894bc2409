"""The archived caches of format 1 stay readable for ever. Every value here was written down when they were made."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from commands import Command

from data_cache.read.reader import CacheReader
from data_cache.read.validate import validate
from data_cache.sharing.info import describe

ARCHIVE = Path(__file__).parents[1] / "archive"
FILES = {
    "cache-v1.h5": "647394b065154ceafdf49f9d17a4b5268689a4e9038d399e3dbd3f93ee36d192",
    "cache-v1-gzip.h5": "dd0fdea333d3626d30910bc9585fb2dc71f14947f1d4fcc31f632745e9a6c090",
}
SHA256 = {
    "s2/b": "47bec619f0a0a1063501d973879c2056e4d13fbc801bbdec026d07981ca7f77e",
    "s2/ü": "efd05dff020cb930d2928e447d12fb89049e364f3854ee6e2747d9b2e23acbe9",
    "s10/a_1": "00a1d4aa0834fef5cc195ce242472d23eb318f0c69479e4afa9e8f7c99483345",
}
SEEDS = {"s2/b": 1, "s10/a_1": 2, "s2/ü": 3}


def noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels, from the generator that made them: state ← 1103515245·state + 12345 mod 2³¹, bits 16 to 23."""
    values, state = np.empty(shape, np.uint8), seed
    for place in range(values.size):
        state = (1103515245 * state + 12345) % 2**31
        values.flat[place] = state >> 16 & 255
    return values


@pytest.fixture(params=FILES)
def archived(request: pytest.FixtureRequest) -> Path:
    return ARCHIVE / str(request.param)


def test_nobody_has_regenerated_it(archived: Path) -> None:
    assert hashlib.sha256(archived.read_bytes()).hexdigest() == FILES[archived.name]


def test_it_is_valid(archived: Path, command: Command) -> None:
    assert validate(archived) == []
    assert command("mpt-cache", "verify", archived).code == 0


def test_every_command_takes_it_and_a_merge_keeps_its_name(archived: Path, command: Command) -> None:
    for arguments in (["info"], ["export", "-o", "f.json"], ["preview", "-o", "p.png"], ["explore", "-o", "page"]):
        done = command("mpt-cache", arguments[0], archived, *arguments[1:])
        assert done.code == 0, done.err
    assert command("mpt-cache", "verify", archived, "--against", "f.json").code == 0
    assert command("mpt-cache", "merge", archived, "-o", "merged.h5").code == 0
    with CacheReader("merged.h5") as merged, CacheReader(archived) as reader:
        assert merged.content_digest == reader.content_digest and validate(merged) == []
        assert reader.onset_frame(0) is None and merged.onset_frame(0) is None


def test_its_annotation_reads_as_it_was_written(archived: Path) -> None:
    clips = CacheReader(archived).clips
    assert clips.keys == list(SHA256)
    assert clips.emotion == ["surprise", "disgust", "others"]
    assert clips.onset.tolist() == [46, 100, 1]
    assert clips.apex.tolist() == [59, 107, -1]
    assert clips.offset.tolist() == [86, 131, 11]
    assert clips.n_frames.tolist() == [41, 32, 11]
    assert clips.fps.tolist() == [200.0, 100.0, 25.0]
    assert clips.clipped_fraction.tolist() == [0.0, 1.0, 0.25]
    assert clips.sha256 == list(SHA256.values())


def test_its_pixels_read_as_they_were_written(archived: Path) -> None:
    with CacheReader(archived) as reader:
        for row, key in enumerate(reader.clips.keys):
            image, motion = reader.read_verified(row).values()
            np.testing.assert_array_equal(image, noise(SEEDS[key], (16, 16, 3)))
            np.testing.assert_array_equal(motion, noise(100 + SEEDS[key], (4, 16, 16, 3)))
            np.testing.assert_array_equal(reader.dynamic_image(row), image)
            np.testing.assert_array_equal(reader.motion(row), motion)
            assert hashlib.sha256(image.tobytes() + motion.tobytes()).hexdigest() == SHA256[key]
        assert reader.motion(0)[0, 0, :2].tolist() == [[61, 3, 159], [245, 76, 13]]
        assert reader.dynamic_image(2)[0, 0].tolist() == [140, 33, 255]


def test_it_says_of_itself_what_it_said(archived: Path) -> None:
    described = describe(CacheReader(archived))
    assert (described["format_version"], described["dataset"]) == ("1.0", "noise")
    assert (described["clips"], described["subjects"], described["frames"], described["size"]) == (3, 2, 4, 16)
    assert (described["recipe"]["alpha"], described["recipe"]["filter"]) == (20.0, "causal")
    assert described["recipe_digest"] == "80c7e41b31a2f241cffd1e357ab3e420fa86c058185a5d75eee0f56653b1c905"
    assert described["content_digest"] == "492ab75f140f51db17ddee6cd9986c567cbe459b18b6f0e3da49dd1e845351f7"
    assert described["licence_notice"] == "Pseudo-random noise. It shows no person; share it freely."
    assert described["provenance"]["notes"] == ["pseudo-random noise; shows nobody"]
