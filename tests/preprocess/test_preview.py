"""Contact sheets and movies: they are whole files of the right clips and moments."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import official_sets as official
import pytest
from commands import Command
from PIL import Image, features

from data_cache.filters import LUMINANCE, middle_scales
from preprocess.datasets.casme2 import casme2
from preprocess.motion.magnify import magnified
from preprocess.pipeline import standardise
from preprocess.preview.draw import STRIP, make_scene, write_movie
from preprocess.recipe import Recipe

SMALL = ("--size", 31, "--frames", 5, "--levels", 2)
RECIPE = Recipe(size=31, frames=5, levels=2)
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
MOVIES = [pytest.param("avif", marks=needs_avif), "gif"]


def test_key_frames_are_those_of_the_annotation(tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    for clip in casme2(tmp_path).clips:
        pictures = dict(make_scene(clip, RECIPE).key_frames())
        moments = {f"onset {clip.onset}": clip.onset, f"offset {clip.offset}": clip.offset}
        if clip.apex is not None:
            moments[f"apex {clip.apex}"] = clip.apex
        for label, number in moments.items():
            assert abs(int(np.median(pictures[label])) - official.frame_level(number)) <= 3
        assert ("middle sample (apex unknown)" in pictures) == (clip.apex is None)
        assert pictures["dynamic image"].shape == (31, 31, 3)


@pytest.mark.parametrize("stabilise", ["none", "rigid"])
def test_the_pictures_for_the_eye_are_of_the_stabilised_band(stabilise: str, tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    clip, recipe = casme2(tmp_path).clips[0], replace(RECIPE, stabilise=stabilise, motion_form="band")
    scene = make_scene(clip, recipe)
    standard = standardise(clip, scene.plan, recipe.size)
    band = (magnified(standard, scene.plan, recipe) - 128) / recipe.alpha
    grey, moved = standard @ LUMINANCE, middle_scales(band @ LUMINANCE)
    expected = np.clip(grey + scene.eye_alpha * moved, 0, 255)
    assert scene.eye.shape == (5, 31, 31) and 0 < scene.eye_alpha <= recipe.alpha
    assert np.abs(scene.eye - expected).max() <= 0.6
    assert f"α = {scene.eye_alpha:g}" in scene.title()


@pytest.mark.parametrize("movie", MOVIES)
def test_the_movie_has_the_original_left_and_the_magnified_right(movie: str, tmp_path: Path) -> None:
    official.casme2_tree(tmp_path)
    scene = make_scene(casme2(tmp_path).clips[0], RECIPE)
    write_movie(scene, tmp_path / "moving", movie)
    with Image.open(tmp_path / "moving") as moving:
        assert (moving.format, moving.n_frames, moving.size) == (movie.upper(), 5, (62, STRIP + 31))
        assert movie == "avif" or moving.info["loop"] == 0
        for t in range(5):
            moving.seek(t)
            frame = np.asarray(moving.convert("RGB")).astype(int)
            assert moving.info["duration"] in (120, 125)  # a GIF counts hundredths of a second
            for half, expected in ((frame[STRIP:, :31], scene.original), (frame[STRIP:, 31:], scene.rendered.motion)):
                assert np.abs(half - expected[t]).mean() < 8  # both formats lose a little


@pytest.mark.parametrize("movie", [MOVIES[0], "none"])
def test_the_command_writes_whole_files(movie: str, tmp_path: Path, command: Command) -> None:
    official.casme2_tree(tmp_path / "set")
    output = tmp_path / "pictures"
    arguments = ("--root", tmp_path / "set", "-o", output, "--movie", movie, *SMALL)
    done = command("mpt-preprocess", "preview", "casme2", "sub01/EP02_01f", "sub05", *arguments)
    assert done.code == 0
    suffixes = ["png"] + [movie] * (movie != "none")
    expected = sorted(f"{stem}.{suffix}" for stem in ("sub01__EP02_01f", "sub05__EP02_07") for suffix in suffixes)
    assert sorted(path.name for path in output.iterdir()) == expected
    for name in expected:
        with Image.open(output / name) as picture:
            picture.load()
            assert picture.format == Path(name).suffix[1:].upper()
            assert picture.format != "PNG" or min(picture.size) > 500
    assert "2 clips drawn" in done.err


def test_what_cannot_be_drawn_is_said(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    official.casme2_tree(tmp_path)
    arguments = ("--root", tmp_path, "-o", tmp_path / "pictures", *SMALL)
    done = command("mpt-preprocess", "preview", "casme2", "sub99/EP01", *arguments)
    assert done.code == 2
    assert "sub99/EP01" in done.err and "sub01/EP02_01f" in done.err
    done = command("mpt-preprocess", "preview", "casme2", "--movie", "mp4", *arguments)
    assert done.code == 2
    assert "'mp4'" in done.err and "'avif', 'gif', 'none'" in done.err
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    done = command("mpt-preprocess", "preview", "casme2", *arguments)
    assert done.code == 2
    assert "--movie gif" in done.err
    assert not (tmp_path / "pictures").exists()
    (tmp_path / "Cropped/sub01/EP02_01f/reg_img97.jpg").unlink()
    done = command("mpt-preprocess", "preview", "casme2", "sub01", "sub03", "--movie", "none", *arguments)
    assert done.code == 3
    assert "sub01/EP02_01f: 1 of 10 frames" in done.err and "1 clips drawn" in done.err
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["sub03__EP01_2.png"]
