"""`mpt-preprocess` as a user meets it: caches that are right, errors of one clear line."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from builds import FAST
from commands import Command
from official_sets import smic_tree

from data_cache.read.reader import CacheReader
from data_cache.read.validate import validate
from preprocess.datasets.folders import numbered_frames
from preprocess.demo.generate import DemoSet, generate
from preprocess.demo.motion import Camera


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in the layout of CASME II."""
    folder = tmp_path_factory.mktemp("casme2")
    generate(folder, DemoSet(subjects=2, clips_per_class=1, seed=5, camera=Camera(size=48)), jobs=1)
    return folder


def test_casme2_becomes_a_valid_cache_that_only_force_makes_anew(command: Command, official: Path) -> None:
    path = Path("data_cache/casme2.h5")
    arguments = ("mpt-preprocess", "casme2", "--root", official, *FAST)
    done = command(*arguments, "--alpha", 20)
    assert done.code == 0, done.err
    assert validate(path) == []
    reader = CacheReader(path)
    assert len(reader) == 10 and reader.clips.keys == sorted(reader.clips.keys)
    assert (reader.attributes.dataset, reader.attributes.recipe["alpha"]) == ("casme2", 20.0)
    assert "licence agreement" in reader.attributes.licence_notice
    assert not list(path.parent.glob("*.parts"))
    before = path.stat()
    done = command(*arguments)
    assert done.code == 0 and "up to date" in done.err
    done = command(*arguments, "--alpha", 10)
    assert done.code == 5 and "alpha 20.0 → 10.0" in done.err and "--force" in done.err
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert command(*arguments, "--alpha", 10, "--force").code == 0
    assert CacheReader(path).attributes.recipe["alpha"] == 10.0


def test_the_camera_of_smic_chooses_frames_and_rate(command: Command, tmp_path: Path) -> None:
    expected = smic_tree(tmp_path / "smic", frames="SMIC_all_cropped/NIR")
    done = command("mpt-preprocess", "smic", "--root", tmp_path / "smic", "--camera", "nir", *FAST)
    assert done.code == 0, done.err
    reader = CacheReader(tmp_path / "data_cache" / "smic-nir.h5")
    assert set(reader.clips.emotion) == {each.emotion for each in expected} and len(reader) == len(expected)
    assert reader.clips.fps.tolist() == [25.0] * len(expected) and reader.attributes.dataset == "smic-nir"
    refused = command("mpt-preprocess", "smic", "--root", tmp_path / "smic", "--camera", "ir", *FAST)
    assert refused.code == 2 and "hs, vis" in refused.err


def test_any_number_of_jobs_gives_the_same_content(command: Command, official: Path) -> None:
    for jobs in (1, 2):
        arguments = ("casme2", "--root", official, *FAST[:4], "-j", jobs, "-o", f"{jobs}.h5")
        assert command("mpt-preprocess", *arguments).code == 0
    assert CacheReader("1.h5").content_digest == CacheReader("2.h5").content_digest


def test_several_alphas_give_one_cache_each_and_decode_every_frame_once(
    command: Command, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import preprocess.frames.read as frames

    decoded: list[Path] = []
    read_image = frames.read_image
    monkeypatch.setattr(frames, "read_image", lambda path: decoded.append(path) or read_image(path))
    alphas = [word for alpha in (0, 10, 20, 30, 50) for word in ("--alpha", alpha)]
    done = command("mpt-preprocess", "casme2", "--root", official, *FAST, *alphas)
    assert done.code == 0, done.err
    names = {path.name for path in Path("data_cache").glob("*.h5")}
    assert names == {f"casme2-alpha{alpha}.h5" for alpha in (0, 10, 20, 30, 50)}
    assert len(decoded) == len(set(decoded)) == 10 * 16
    assert command("mpt-preprocess", "casme2", "--root", official, *FAST, "--alpha", 10, "-o", "ten.h5").code == 0
    assert CacheReader("ten.h5").content_digest == CacheReader("data_cache/casme2-alpha10.h5").content_digest


def test_what_is_missing_is_said_in_one_line(command: Command, tmp_path: Path) -> None:
    root = tmp_path / "casme2"
    for made, words in (
        (tmp_path, "does not exist"),
        (root, "no CASME II frames"),
        (root / "Cropped/sub01/EP01_01", "no annotation sheet"),
    ):
        made.mkdir(parents=True, exist_ok=True)
        done = command("mpt-preprocess", "casme2", "--root", root, *FAST)
        assert done.code == 2
        assert words in done.err and str(root) in done.err and "Traceback" not in done.err
        assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "data_cache").exists()


def test_a_clip_with_missing_frames_is_named_and_no_half_file_is_left(
    command: Command, official: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(official, tmp_path / "casme2", copy_function=os.link)
    frames = numbered_frames(root / "Cropped/sub01/EP01_02f")
    gone = sorted(frames)[10:12]
    for number in gone:
        frames[number].unlink()
    done = command("mpt-preprocess", "casme2", "--root", root, *FAST)
    assert done.code == 3
    assert "sub01/EP01_02f" in done.err and f"{gone[0]}–{gone[1]}" in done.err and "--allow-missing" in done.err
    assert not Path("data_cache/casme2.h5").exists()
    again = command("mpt-preprocess", "casme2", "--root", root, *FAST, "--allow-missing")
    assert again.code == 3
    reader = CacheReader("data_cache/casme2.h5")
    assert len(reader) == 9
    assert list(reader.attributes.provenance["omitted"]) == ["sub01/EP01_02f"]
    assert str(tmp_path) not in str(reader.attributes.provenance["omitted"])  # no folder of this machine


def test_finished_clips_are_not_computed_again(
    command: Command, official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = shutil.copytree(official, tmp_path / "casme2", copy_function=os.link)
    victim = next((root / "Cropped" / "sub02" / "EP01_01f").iterdir())
    frame = victim.read_bytes()
    victim.unlink()
    assert command("mpt-preprocess", "casme2", "--root", root, *FAST).code == 3
    victim.write_bytes(frame)
    computed = []
    import preprocess.job.build as build

    make_shards = build.make_shards
    monkeypatch.setattr(build, "make_shards", lambda task: computed.append(task.clip.key) or make_shards(task))
    assert command("mpt-preprocess", "casme2", "--root", root, *FAST).code == 0
    assert computed == ["sub02/EP01_01f"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--low", 5), "--low must be below --high"),
        (("--fs", "50"), "nominal:HZ"),
        (("--gains", "1,2"), "2 numbers for 3 levels"),
        (("--gains", "strong"), "'strong'"),
        (("--levels", 16), "allows 6"),
        (("--alpha", 5, "--alpha", 5), "given twice"),
        (("--alpha", 5, "--alpha", 5.0000001), "given twice"),  # one file name for both
        (("--alpha", 5, "--gains", "1,2,3"), "--alpha has no say"),
        (("--gains", "1,nan,3"), "finite numbers"),
        (("-o", "."), "is a folder"),
    ],
)
def test_bad_options_are_explained(command: Command, official: Path, arguments: tuple[Any, ...], words: str) -> None:
    done = command("mpt-preprocess", "casme2", "--root", official, *FAST, *arguments)
    assert done.code == 2 and words in done.err and "Traceback" not in done.err


def test_a_lowered_cut_off_is_said_and_recorded(command: Command, official: Path) -> None:
    done = command("mpt-preprocess", "casme2", "--root", official, *FAST, "--high", 90)
    assert done.code == 0 and "lowered" in done.err
    notes = CacheReader("data_cache/casme2.h5").attributes.provenance["notes"]
    assert any("cut-offs lowered" in note for note in notes)
