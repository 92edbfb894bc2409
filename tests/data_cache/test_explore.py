"""The page of a cache: the arithmetic behind its pictures, and what may and may not be in its files."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from commands import Command, MakeCache
from hypothesis import given
from hypothesis import strategies as st

from data_cache.explore.charts import Bar, Line, Point, bars, lines, matrix, scatter, where
from data_cache.explore.clips import entries, strip, strip_shape
from data_cache.explore.page import Page
from data_cache.filters import LUMINANCE, NotInvertibleError, find_inverse, for_the_eye, original, recover
from data_cache.read.reader import CacheReader
from preprocess.motion.magnify import magnified, quantise
from preprocess.motion.temporal import temporal_plan
from preprocess.recipe import Recipe

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"
SUBJECTS = {"s1": 3, "s2": 2, "s11": 2}
FULL = asdict(Recipe(frames=8, size=24, levels=3))


@given(
    kind=st.sampled_from(["causal", "filtfilt", "difference"]),
    order=st.integers(1, 4),
    alpha=st.floats(0, 100),
    n=st.integers(1, 300),
    fps=st.sampled_from([25.0, 30.0, 60.0, 100.0, 200.0]),
    fs=st.sampled_from(["true", "nominal:30"]),
)
def test_the_original_comes_back(kind: str, order: int, alpha: float, n: int, fps: float, fs: str) -> None:
    """Within the bound that rounding allows on pixels that never clip; 1 grey level for the filter of the paper."""
    recipe = Recipe(filter=kind, order=order, alpha=alpha, fs=fs, size=8, levels=1)
    try:
        inverse = find_inverse(recipe.as_json(), n, fps)
    except NotInvertibleError as error:
        assert order > 1 or kind == "filtfilt", error
        return
    largest = np.abs(inverse.matrix).sum(1).max() / 2  # grey levels, by rounding to 8 bits
    rng = np.random.default_rng(n)
    clip = rng.uniform(60, 195, (1, 8, 8, 3)) + rng.normal(0, 40 / (1 + alpha), (16, 8, 8, 3))
    magnified_clip = magnified(clip, temporal_plan(n, fps, recipe), recipe)
    unclipped = ((magnified_clip > -0.5) & (magnified_clip < 255.5) & (clip >= 0) & (clip <= 255)).all(0)
    error = (original(quantise(magnified_clip.astype(np.float32))[0], inverse) - clip)[:, unclipped]
    if error.size:
        assert np.abs(error).max() <= largest + 0.02
        assert error.std(1).max() <= min(1.25 * inverse.typical_error + 0.02, 1.1)
    if kind == "causal" and order == 1 and alpha >= 20 and n >= 16 and fs == "true":
        assert largest <= 1.01


@pytest.mark.parametrize(
    "change",
    [{"motion_form": "band"}, {"gains": "0,10,20"}, {"algorithm": 2}, {"stabilise": "rigid"}, {"later_option": 0}],
    ids=str,
)
def test_what_cannot_be_undone_or_is_not_said_is_named(change: dict[str, object]) -> None:
    with pytest.raises(NotInvertibleError, match=re.escape(str(next(iter(change))))):
        find_inverse(FULL | change, 30, 100.0)
    find_inverse(FULL | {"stabilise": "none"}, 30, 100.0)
    with pytest.raises(NotInvertibleError, match="order"):
        find_inverse({name: value for name, value in FULL.items() if name != "order"}, 30, 100.0)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur as a sum over shifted copies of the mirrored image."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    for axis in (0, 1):
        padded = np.pad(image, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="symmetric")
        pieces = [np.take(padded, np.arange(k, k + image.shape[axis]), axis) for k in range(2 * reach + 1)]
        image = sum(w * piece for w, piece in zip(weights / weights.sum(), pieces, strict=True))
    return image


@pytest.mark.parametrize("contrast", [2, 20])
def test_the_picture_for_the_eye_is_its_definition(contrast: float, rng: np.random.Generator) -> None:
    base = rng.uniform(20, 235, (1, 24, 24, 3))
    clip = (base + rng.normal(0, contrast, (8, 24, 24, 3))).clip(0, 255)
    inverse = find_inverse(FULL, 40, 100.0)
    shown, alpha = for_the_eye(clip, inverse.alpha, inverse.filter)
    grey = clip @ np.array(LUMINANCE)
    plan = temporal_plan(40, 100.0, Recipe(**FULL))
    band = np.stack([blurred(f, 24 / 50) - blurred(f, 24 / 12) for f in np.einsum("tu,uhw->thw", plan.filter, grey)])
    expected = grey + alpha * band
    assert np.abs(shown - expected.clip(0, 255)).max() <= 0.51
    cut = [np.mean((grey + a * band < -0.5) | (grey + a * band > 255.5)) for a in (alpha, alpha + 0.11)]
    assert cut[0] < 0.01
    assert alpha == 20 or cut[1] >= 0.01  # not lowered further than need be


def test_where_the_band_alone_was_kept_it_moves_on_the_onset_frame(rng: np.random.Generator) -> None:
    face, still = rng.integers(40, 216, (24, 24, 3), np.uint8), np.full((8, 24, 24, 3), 128, np.uint8)
    recipe = {**FULL, "motion_form": "band", "stabilise": "rigid"}
    grey = face @ np.array(LUMINANCE)
    found = recover(still, face, recipe, 40, 100.0)
    assert found.original is None and "band" in found.why and np.abs(found.eye - grey).max() <= 0.51
    band = (still + rng.normal(0, 15, still.shape)).round().clip(0, 255).astype(np.uint8)
    found = recover(band, face, recipe, 40, 100.0)
    moved = np.stack([blurred(f, 24 / 50) - blurred(f, 24 / 12) for f in (band - 128.0) @ np.array(LUMINANCE) / 20])
    assert 0 < found.eye_alpha <= 20 and np.abs(found.eye - (grey + found.eye_alpha * moved).clip(0, 255)).max() <= 0.51
    for lacking in ({"motion_form": "additive"}, {"gains": "evm"}, {"alpha": 0.0}):
        assert recover(band, face, {**recipe, **lacking}, 40, 100.0).eye is None
    assert recover(band, None, recipe, 40, 100.0).eye is None
    assert recover(band, face, {"motion_form": "band", "gains": "uniform"}, 40, 100.0).eye is None  # says no alpha


@pytest.mark.parametrize("frames", [1, 8, 16, 17])
def test_a_strip_holds_every_frame_in_its_place(frames: int) -> None:
    import io

    from PIL import Image

    clip = np.broadcast_to(np.linspace(0, 250, frames)[:, None, None], (frames, 16, 16)).astype(np.uint8)
    columns, rows = strip_shape(frames)
    picture = np.asarray(Image.open(io.BytesIO(strip(clip, 224))).convert("L"), int)
    assert picture.shape == (16 * rows, 16 * columns)
    for t in range(frames):
        tile = picture[t // columns * 16 :, t % columns * 16 :][:16, :16]
        assert abs(tile.mean() - clip[t].mean()) < 4
    assert strip_shape(512)[0] < 24


def data_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "data.js").read_text().removeprefix("window.MPT = ").rstrip(";\n"))


@pytest.fixture(scope="session")
def explored(make_cache: MakeCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache whose originals can be had, and room for its pages."""
    folder = tmp_path_factory.mktemp("explored")
    return make_cache(folder / "small.h5", SUBJECTS, **FULL)


def test_the_command_writes_a_page_with_every_clip(explored: Path, command: Command) -> None:
    done = command("mpt-cache", "explore", explored)
    folder = explored.with_name("small.h5.explore")
    assert done.code == 0 and (folder / "index.html").resolve().as_uri() in done.out
    data, page = data_of(folder), (folder / "index.html").read_text()
    assert [clip["key"] for clip in data["clips"]] == [f"{s}/EP{i:02d}" for s, n in SUBJECTS.items() for i in range(n)]
    assert all((folder / name).stat().st_size for clip in data["clips"] for name in clip["strips"].values())
    assert page.index("test data") < page.index("<main>"), "the licence notice stands on top"
    assert all(set(clip["strips"]) == set("moed") for clip in data["clips"])


@pytest.mark.parametrize(
    ("change", "onset_frames", "kinds"),
    [
        ({"stabilise": "rigid"}, True, "mdf"),
        ({"stabilise": "rigid"}, False, "md"),
        ({"motion_form": "band"}, True, "mdfe"),
        ({"motion_form": "band"}, False, "md"),
    ],
)
def test_the_onset_frame_stands_in_for_an_original_that_is_lost(
    make_cache: MakeCache, tmp_path: Path, change: dict[str, object], onset_frames: bool, kinds: str
) -> None:
    path = make_cache(tmp_path / "c.h5", {"a": 1}, **{**FULL, **change}, onset_frames=onset_frames)
    with CacheReader(path) as reader:
        clip = entries(reader, tmp_path, images=True, single_file=True)[0]
    assert all(str(value) in clip["why"] for value in change.values()) and set(clip["strips"]) == set(kinds)


def test_without_images_no_image_byte_is_left(explored: Path, command: Command) -> None:
    folder = explored.with_name("twice")
    assert command("mpt-cache", "explore", explored, "-o", folder).code == 0
    assert list(folder.glob("clips/*"))
    assert command("mpt-cache", "explore", explored, "-o", folder, "--no-images").code == 0
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"index.html", "data.js"}
    assert not any(
        word in path.read_bytes() for path in files for word in (b"data:image", b"ftypavif", b"WEBP", b"PNG")
    )


def test_a_single_file_needs_no_other_and_has_a_limit(
    explored: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = explored.with_name("single")
    assert command("mpt-cache", "explore", explored, "-o", folder, "--single-file").code == 0
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    assert (folder / "index.html").read_text().count("data:image/") == 7 * 4
    monkeypatch.setattr("data_cache.explore.page.MOST_BYTES", 10_000)
    done = command("mpt-cache", "explore", explored, "-o", folder / "other", "--single-file")
    assert done.code == 2 and "--no-images" in done.err
    assert not (folder / "other" / "index.html").exists()


def test_a_folder_of_somebody_else_is_left_alone(explored: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert command("mpt-cache", "explore", explored, "-o", tmp_path).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("single_file", [True, False])
def test_names_stay_text(tmp_path: Path, single_file: bool) -> None:
    clip = {**dict.fromkeys(("key", "subject", "clip", "label"), HOSTILE), "frames": 9, "fps": 9.0, "clipped": 0}
    strips = {"frames": 8, "columns": 3, "rows": 3, "alpha": 1.0}
    Page(HOSTILE, HOSTILE, [HOSTILE], [clip], strips).write(tmp_path, single_file=single_file)
    page = (tmp_path / "index.html").read_text()
    assert "<img src=x" not in page and page.count("</script>") == 2
    if not single_file:
        assert "<" not in (tmp_path / "data.js").read_text()
        assert data_of(tmp_path)["clips"] == [clip]


def test_labels_of_charts_stay_text() -> None:
    link = where(label=HOSTILE)
    made = [
        bars([Bar(HOSTILE, [0.5], [HOSTILE], link)], [HOSTILE, HOSTILE]),
        matrix(np.eye(2, dtype=int), [HOSTILE, "b"], lambda true, predicted: where(label=true, predicted=predicted)),
        lines([Line(HOSTILE, np.ones(3), np.zeros(3), np.ones(3))], HOSTILE, HOSTILE),
        scatter([Point(0, 0, HOSTILE, 1, True, link)], [HOSTILE, "b"]),
    ]
    for html in made:
        assert "<img" not in html and "</script" not in html and "&lt;/script&gt;" in html


def test_the_page_is_small() -> None:
    folder = Path(__file__).parents[2] / "data_cache" / "explore"
    assert (folder / "page.js").stat().st_size <= 25_000
