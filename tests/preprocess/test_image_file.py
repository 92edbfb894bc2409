"""Headers of image files: sizes as OpenCV decodes them, truncation found, no pixel decoded."""

import struct
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import png_header

from preprocess.clip import ClipError
from preprocess.frames.read import check_image, check_image_file, read_image

FORMATS = [".jpg", ".png", ".bmp", ".tif"]
NOWHERE = Path("frame")


def encoded(suffix: str, width: int, height: int, channels: int = 3, *options: int) -> bytes:
    shape = (height, width, channels) if channels > 1 else (height, width)
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return cv2.imencode(suffix, picture, options)[1].tobytes()


@settings(max_examples=40)
@given(st.sampled_from(FORMATS), st.integers(1, 200), st.integers(1, 200), st.sampled_from([1, 3]))
def test_the_size_is_that_of_the_decoded_picture(suffix: str, width: int, height: int, channels: int) -> None:
    data = encoded(suffix, width, height, channels)
    header = check_image(data, NOWHERE)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert (header.height, header.width) == decoded.shape[:2]


def test_progressive_and_commented_jpegs() -> None:
    data = encoded(".jpg", 50, 30, 3, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    # a comment and a thumbnail: segments before the frame header, one with an end marker inside
    thumbnail = encoded(".jpg", 8, 8)
    segments = b"\xff\xfe" + struct.pack(">H", 6) + b"abcd"
    segments += b"\xff\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + segments + data[2:]
    header = check_image(whole, NOWHERE)
    assert (header.kind, header.width, header.height) == ("JPEG", 50, 30)
    with pytest.raises(ClipError, match="truncated JPEG"):
        check_image(whole[:-20], NOWHERE)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("missing", [0.98, 0.7, 0.3, 20, 2, 1])
def test_truncation_is_found_before_and_while_reading(suffix: str, missing: float, tmp_path: Path) -> None:
    """But for the last bytes of a TIFF: those are its directory, all pixels are there, and only decoding minds."""
    data = encoded(suffix, 60, 40)
    path = tmp_path / f"img1{suffix}"
    path.write_bytes(data[: -(int(len(data) * missing) if missing < 1 else missing)])
    for read in (check_image_file, read_image) if suffix != ".tif" or missing not in (1, 2) else (read_image,):
        with pytest.raises(ClipError, match=str(path)):
            read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>not found</html>", b"GIF89a" + bytes(50), b"\x89PNG", b"\xff\xd8\xff", b"II*\0\xff\xff\xff\xff"],
)
def test_what_is_no_image_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "img1.jpg"
    path.write_bytes(content)
    for read in (check_image_file, read_image):
        with pytest.raises(ClipError, match=str(path)) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@settings(max_examples=150)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_headers_never_raise_anything_else(suffix: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(suffix, 9, 7))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(4, min(200, len(whole) - 1)))] = data.draw(st.integers(0, 255))
    with suppress(ClipError):
        check_image(bytes(whole), NOWHERE)


def test_a_huge_picture_is_refused_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "img1.png"
    path.write_bytes(png_header(30_000, 30_000))
    monkeypatch.setattr(cv2, "imdecode", None)
    for read in (check_image_file, read_image):
        with pytest.raises(ClipError, match="30000×30000"):
            read(path)
