"""Faces in raw frames: who says where they are, the detector, and one crop for the whole clip."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import official_sets as official
import pytest
from builds import SMALL
from commands import Command
from oracles import centroid, raw_clip

from data_cache import CacheReader
from data_cache.errors import UsageError
from preprocess import faces
from preprocess.clip import Clip, ClipError, FaceBox
from preprocess.datasets.casme2 import casme2
from preprocess.datasets.find import find
from preprocess.demo.face import Identity, Window
from preprocess.demo.generate import DemoSet, generate
from preprocess.demo.motion import Camera, film
from preprocess.faces import crop_for, find_face, resolve_face_mode
from preprocess.frames.read import read_frames
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe

TINY = Recipe(frames=4, size=16, levels=2)
needs_detector = pytest.mark.skipif(find_spec("dlib") is None, reason="dlib is not installed")


def mode_of(root: Path, mode: str | None, boxes: Path | None = None) -> str:
    return resolve_face_mode(casme2(root), mode, boxes)[1]


def test_cropped_frames_are_whole_faces_and_scenes_go_by_boxes_or_to_the_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official.casme2_tree(tmp_path / "crops", official.GOOD)
    assert mode_of(tmp_path / "crops", None) == "none"
    monkeypatch.setattr(faces, "load_detector", lambda: None)
    raw_clip(root := tmp_path / "scenes")
    assert mode_of(root, None) == "auto"
    (root / "face_boxes.csv").write_text("subject,clip,x,y,width,height\nsub01,EP02_01f,1,1,18,18\n")
    assert [mode_of(root, mode) for mode in (None, "none", "auto")] == ["csv", "none", "auto"]
    with pytest.raises(UsageError, match="goes with --faces csv, not with --faces none"):
        mode_of(root, "none", root / "face_boxes.csv")
    with pytest.raises(UsageError, match="no face boxes at"):
        mode_of(root, None, root / "nowhere.csv")


def test_without_the_extra_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    official.samm_tree(tmp_path)
    monkeypatch.setitem(sys.modules, "dlib", None)
    arguments = ("mpt-preprocess", "samm", "--root", tmp_path, *SMALL)
    done = command(*arguments)
    assert done.code == 2 and "pip install '.[faces]'" in done.err
    assert command(*arguments, "--faces", "none").code == 0


def test_a_clip_is_cropped_alike_in_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dot that drifts through the scene drifts as far through the crop: nothing follows it."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(12):
        picture = np.zeros((60, 90, 3), np.uint8)
        picture[30:34, 30 + number : 34 + number] = 255
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    clip = Clip("lab", "s", "c", tuple(folder / f"{number}.png" for number in range(12)), 0, None, 11, 100, "")
    seen: list[int] = []

    def found(frames: Sequence[np.ndarray]) -> FaceBox:
        seen.append(len(frames))
        return FaceBox(20, 14, 32, 32)

    monkeypatch.setattr(faces, "find_face", found)
    recipe = Recipe(frames=12, size=32, levels=2, alpha=0, faces="auto")
    motion = process_clip(clip, [recipe, recipe.with_alpha(5)])[0].motion
    places = [centroid(frame[..., 0])[0] for frame in motion]
    assert np.allclose(np.diff(places), 1)
    assert seen == [8]


def test_where_nothing_is_found_the_clip_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = raw_clip(tmp_path)
    monkeypatch.setattr(faces, "find_face", lambda frames: None)
    with pytest.raises(ClipError, match="no face was found in its first 8 frames; give it a box"):
        crop_for(clip, replace(TINY, faces="auto"))
    with pytest.raises(ClipError, match="no face box is known"):
        crop_for(clip, replace(TINY, faces="csv"))
    assert crop_for(clip, TINY) is None


SIZE, SCENE = 112, Window(-120, -40, 280, 190)


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    """First frames of drawn persons, off centre in a larger scene."""
    persons = [np.random.default_rng([7, number]) for number in range(4)]
    camera = Camera(size=SIZE, fps=50)
    return [film(Identity(rng), ["12"], camera, rng, SCENE)[0] for rng in persons]


@needs_detector
def test_the_detector_finds_drawn_faces(scenes: list[np.ndarray]) -> None:
    for frames in scenes[:2]:
        face = find_face(frames)
        assert face is not None
        off_centre = face.x + face.width / 2 + SCENE.left - SIZE / 2, face.y + face.height / 2 + SCENE.top - SIZE / 2
        assert max(map(abs, off_centre)) < 0.12 * SIZE
        assert 0.8 < max(face.width, face.height) / SIZE < 1.4


@needs_detector
def test_the_detector_finds_none_in_walls_and_noise_nor_where_only_one_frame_shows_it(scenes: list[np.ndarray]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (3, 120, 160, 3), np.uint8)
    assert find_face(list(noise)) is None
    assert find_face([np.full((90, 90, 3), 127, np.uint8)] * 3) is None
    assert find_face(scenes[0][:, :, : -SCENE.left - 10]) is None
    assert find_face([scenes[0][0], *[np.full_like(scenes[0][0], 120)] * 7]) is None


@needs_detector
def test_scenes_of_samm_are_cropped_without_a_word(scenes: list[np.ndarray], tmp_path: Path, command: Command) -> None:
    expressions = official.samm_tree(tmp_path / "set")
    for each, frames in zip(expressions, scenes, strict=True):
        folder = tmp_path / "set/SAMM" / each.subject / each.clip
        for path, frame in zip(sorted(folder.iterdir()), frames, strict=False):
            cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    arguments = ("mpt-preprocess", "samm", "--root", tmp_path / "set", *SMALL)
    assert command(*arguments, "-o", "samm.h5").code == 0
    assert command(*arguments, "-o", "whole.h5", "--faces", "none").code == 0
    cache, whole = CacheReader("samm.h5"), CacheReader("whole.h5")
    assert cache.attributes.recipe["faces"] == "auto"
    assert len(cache) == len(expressions) and whole.clips.keys == cache.clips.keys
    assert not any(np.array_equal(cache.motion(row)[0], whole.motion(row)[0]) for row in range(len(cache)))


def test_scenes_of_the_demo_set_come_with_their_boxes(tmp_path: Path) -> None:
    small = DemoSet(subjects=1, clips_per_class=1, camera=Camera(size=48, fps=100))
    generate(tmp_path / "raw", replace(small, raw=True), jobs=1)
    generate(tmp_path / "faces", small, jobs=1)
    raw, faces = find("demo", tmp_path / "raw"), find("demo", tmp_path / "faces")
    assert (raw.cropped, faces.cropped) == (False, True)
    found, mode = resolve_face_mode(raw, None, None)
    assert mode == "csv" and all(clip.face is None for clip in raw.clips), "what was handed in is left alone"
    for scene, face in zip(found.clips, faces.clips, strict=True):
        assert (scene.key, scene.apex_index, scene.emotion) == (face.key, face.apex_index, face.emotion)
        (_, whole), (_, cropped) = next(read_frames(scene.frames, [0])), next(read_frames(face.frames, [0]))
        crop = crop_for(scene, replace(TINY, faces="csv"))
        assert crop is not None
        assert whole.shape == (90, 120, 3)
        assert crop(whole).shape == cropped.shape
        # the same person in the same pose: only texture and noise are drawn anew
        assert np.corrcoef(crop(whole).ravel(), cropped.ravel())[0, 1] > 0.95
