"""Headers of image files: sizes as OpenCV decodes them, truncation found, no pixel decoded."""

import struct
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import png_header

from preprocess.clip import ClipError
from preprocess.frames.image_header import check_image, check_image_file
from preprocess.frames.read import read_image

FORMATS = [".jpg", ".png", ".bmp", ".tif"]
NOWHERE = Path("frame")


def encoded(suffix: str, width: int, height: int, channels: int = 3, seed: int = 0) -> bytes:
    shape = (height, width, channels) if channels > 1 else (height, width)
    picture = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return cv2.imencode(suffix, picture)[1].tobytes()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FORMATS), st.integers(1, 200), st.integers(1, 200), st.sampled_from([1, 3]))
def test_the_size_is_that_of_the_decoded_picture(suffix: str, width: int, height: int, channels: int) -> None:
    data = encoded(suffix, width, height, channels)
    header = check_image(data, NOWHERE)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert (header.height, header.width) == decoded.shape[:2]


def test_progressive_and_commented_jpegs() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    # a comment and a thumbnail: segments before the frame header, one with an end marker inside
    thumbnail = encoded(".jpg", 8, 8)
    segments = b"\xff\xfe" + struct.pack(">H", 6) + b"abcd"
    segments += b"\xff\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + segments + data[2:]
    assert (check_image(whole, NOWHERE).width, check_image(whole, NOWHERE).height) == (50, 30)
    with pytest.raises(ClipError, match="truncated JPEG"):
        check_image(whole[: len(whole) - 20], NOWHERE)


def test_bitmaps_from_top_to_bottom_and_of_the_old_kind() -> None:
    upright = encoded(".bmp", 5, 4)
    flipped = upright[:22] + struct.pack("<i", -4) + upright[26:]
    assert (check_image(flipped, NOWHERE).width, check_image(flipped, NOWHERE).height) == (5, 4)
    core = b"BM" + struct.pack("<IHHI", 26 + 48, 0, 0, 26) + struct.pack("<IHHHH", 12, 3, 4, 1, 24) + bytes(48)
    assert check_image(core, NOWHERE).width == 3
    with pytest.raises(ClipError, match="truncated BMP"):
        check_image(core[:-1], NOWHERE)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_truncation_is_found_before_and_while_reading(suffix: str, share: float, tmp_path: Path) -> None:
    data = encoded(suffix, 60, 40)
    path = tmp_path / f"img1{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    for read in (check_image_file, read_image):
        with pytest.raises(ClipError, match=r"truncated|damaged"):
            read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>not found</html>", b"GIF89a" + bytes(50), b"\x89PNG", b"\xff\xd8\xff", b"II*\0\xff\xff\xff\xff"],
)
def test_what_is_no_image_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "img1.jpg"
    path.write_bytes(content)
    for read in (check_image_file, read_image):
        with pytest.raises(ClipError, match=r"img1\.jpg is") as caught:
            read(path)
        assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_headers_never_raise_anything_else(suffix: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(suffix, 9, 7))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(4, min(80, len(whole) - 1)))] = data.draw(st.integers(0, 255))
    with suppress(ClipError):
        check_image(bytes(whole), NOWHERE)


def test_a_huge_picture_is_refused_without_decoding(tmp_path: Path) -> None:
    path = tmp_path / "img1.png"
    path.write_bytes(png_header(30_000, 30_000))
    started = time.perf_counter()
    with pytest.raises(ClipError, match="30000×30000 pixels; allowed are 1 to 64 million"):
        read_image(path)
    assert time.perf_counter() - started < 0.5


def test_the_check_costs_microseconds() -> None:
    data = encoded(".jpg", 280, 340)
    check_image(data, NOWHERE)
    started = time.perf_counter()
    for _ in range(200):
        check_image(data, NOWHERE)
    each = (time.perf_counter() - started) / 200
    started = time.perf_counter()
    for _ in range(20):
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert each < 0.05 * (time.perf_counter() - started) / 20
