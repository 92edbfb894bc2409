"""The demo set: official layout, the same bytes every time, motion that is small."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import official_sets as official
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_cache.errors import UsageError
from preprocess.datasets.casme2 import demo as demo_set
from preprocess.demo.face import Identity, Portrait, Window
from preprocess.demo.generate import CLASSES, SHEET, DemoSet, generate
from preprocess.demo.motion import ACTION_UNITS, BLINK, TIERS, Camera, displacement, film, rise_and_fall
from preprocess.frames.read import read_image

TINY = DemoSet(subjects=2, clips_per_class=1, seed=3, camera=Camera(size=48))

EASY = (44, 18, [[120.564, 92.212, 75.344], [121.587, 92.893, 75.854], [123.24, 94.283, 77.051]])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate(folder, TINY, jobs=1)
    return folder


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_seed_decides_every_byte_whatever_the_number_of_jobs(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers live on from call to call, in the folder where they were started."""
    for place in (tmp_path / "here", tmp_path / "there"):
        place.mkdir()
        monkeypatch.chdir(place)
        generate(Path("demo"), TINY, jobs=2)
        assert fingerprint(place / "demo") == fingerprint(tiny)


def test_another_seed_gives_other_faces(tiny: Path, tmp_path: Path) -> None:
    generate(tmp_path, DemoSet(subjects=1, clips_per_class=1, seed=4, camera=Camera(size=48)), jobs=1)
    name = "Cropped/sub01/EP01_01f"
    ours, theirs = (sorted((root / name).iterdir())[0].read_bytes() for root in (tiny, tmp_path))
    assert ours != theirs


def test_it_is_laid_out_as_casme_ii_is_delivered(tiny: Path) -> None:
    from openpyxl import load_workbook

    rows = list(load_workbook(tiny / SHEET).active.iter_rows(values_only=True))
    assert rows[0] == tuple(official.CASME2_HEADER)
    assert len(rows) == 1 + 2 * len(CLASSES)
    for subject, name, _, onset, apex, offset, _, units, emotion in rows[1:]:
        frames = {path.name for path in (tiny / "Cropped" / f"sub{subject}" / name).iterdir()}
        assert frames == {f"reg_img{number}.jpg" for number in range(onset, offset + 1)}
        assert onset < apex < offset
        assert 0.16 * 200 - 1 <= offset - onset + 1 <= 0.3 * 200
        assert tuple(units.split("+")) in CLASSES[emotion]


def test_the_casme_ii_adapter_reads_it(tiny: Path) -> None:
    found = demo_set(tiny)
    assert not found.failures
    assert len(found.clips) == 10
    assert {clip.emotion for clip in found.clips} == set(CLASSES)
    assert {clip.subject for clip in found.clips} == {"sub01", "sub02"}
    assert read_image(found.clips[0].frames[0]).shape == (48, 48, 3)  # type: ignore[index]


def test_a_finished_set_is_not_drawn_again(tiny: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny.rglob("*")}
    generate(tiny, TINY, jobs=1)
    assert before == {path: path.stat().st_mtime_ns for path in tiny.rglob("*")}


@pytest.mark.parametrize("marker", ['{"complete": false}', "", "[" * 60_000])
def test_an_interrupted_drawing_is_finished_by_the_same_command(tiny: Path, tmp_path: Path, marker: str) -> None:
    def interrupt(*_: object) -> object:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("preprocess.demo.generate._make_clip", interrupt)
        generate(tmp_path, TINY, jobs=1)
    (tmp_path / "demo-set.json").write_text(marker, encoding="utf-8")
    generate(tmp_path, TINY, jobs=1)
    assert fingerprint(tmp_path) == fingerprint(tiny)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(UsageError, match="not empty"):
        generate(tmp_path, TINY, jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def fields_of(size: int) -> dict[str, np.ndarray]:
    """How each action unit moves a face in the middle of its picture."""
    portrait = Portrait(Identity(np.random.default_rng(1)), size, (0, 0), Window(0, 0, size, size))
    portrait.centre = (size - 1) / 2, 0.4 * size
    return {unit: displacement(pulls, portrait) for unit, pulls in ACTION_UNITS.items()}


def test_movements_are_sub_pixel_around_the_resting_face() -> None:
    fields = fields_of(Camera().size)
    for options in CLASSES.values():
        for units in options:
            assert 0.1 < np.abs(sum(fields[unit] for unit in units)).max() * Camera().amplitude / 2 < 1.0


@pytest.mark.parametrize("tier", TIERS)
def test_everything_but_the_movement_is_drawn_without_the_class(tier: str) -> None:
    person = Identity(np.random.default_rng(0))
    still = Camera(size=48, amplitude=0.0)
    clips = [film(person, units, still, np.random.default_rng(5), tier=TIERS[tier]) for units in (("1", "2"), ("12",))]
    (frames, apex), (others, other_apex) = clips
    np.testing.assert_array_equal(frames, others)
    assert apex == other_apex


def test_the_easy_tier_stays_as_it_was() -> None:
    """Numbers of the release before there were tiers; another OpenCV may round a value differently, not all of them."""
    frames, apex = film(Identity(np.random.default_rng(0)), ("12",), Camera(size=48), np.random.default_rng(5))
    assert (len(frames), apex) == EASY[:2]
    np.testing.assert_allclose(frames[[0, apex, -1]].mean((1, 2)), EASY[2], atol=0.01)


def test_the_hard_tier_has_two_cameras_and_a_place_of_its_own(tmp_path: Path) -> None:
    hard = replace(TINY, tier="hard")
    assert [replace(hard, raw=raw).name for raw in (False, True)] == ["demo-hard", "demo-hard-raw"]
    generate(tmp_path, hard, jobs=1)
    found = demo_set(tmp_path)
    assert len(found.clips) == 10 and not found.failures
    sides = {(clip.subject, read_image(clip.frames[0]).shape[0]) for clip in found.clips}  # type: ignore[index]
    assert sides == {("sub01", 48), ("sub02", 36)}
    before = fingerprint(tmp_path)
    generate(tmp_path, hard, jobs=1)
    assert fingerprint(tmp_path) == before
    generate(tmp_path, TINY, jobs=1)  # the tier is one of the settings: the set is drawn anew
    assert fingerprint(tmp_path) != before


@given(st.integers(8, 200), st.floats(0.2, 0.8), st.integers(0, 99))
def test_a_movement_rises_to_the_apex_and_almost_goes_back(n_frames: int, where: float, seed: int) -> None:
    apex = round(where * (n_frames - 1))
    intensity = rise_and_fall(n_frames, apex, np.random.default_rng(seed))
    assert intensity[0] == 0 and intensity[apex] == 1 and 0 <= intensity[-1] < 0.1
    assert (np.diff(intensity[: apex + 1]) > 0).all() and (np.diff(intensity[apex:]) < 0).all()


def test_action_units_pull_both_sides_alike() -> None:
    for name, (across, down) in fields_of(64).items():
        np.testing.assert_allclose(across, -across[:, ::-1], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(down, down[:, ::-1], atol=1e-5, err_msg=name)
    assert BLINK in ACTION_UNITS
