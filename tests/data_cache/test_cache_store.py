"""Shards, merges and readers: what goes in comes out, whichever way it went."""

import multiprocessing
import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from builds import gzipped_copy
from commands import MakeCache
from flips import flip, stored_pixels

from data_cache.digest import digest
from data_cache.errors import Interrupted, InvalidFile, StaleFile, UsageError
from data_cache.files.lock import writer_lock
from data_cache.names import natural_key
from data_cache.read.reader import CacheReader
from data_cache.read.validate import validate
from data_cache.schema import CacheAttributes, ClipRecord
from data_cache.write.shards import is_complete, merge, write_shard
from train.data.task import open_clips

RECIPE = {"frames": 3, "size": 10, "alpha": 20.0}


def attributes(recipe: dict[str, object] = RECIPE, dataset: str = "set") -> CacheAttributes:
    return CacheAttributes(dataset, recipe, digest(recipe), "1" * 64, {"tool": "a test"}, "nobody may see this")


def record(subject: str, clip: str, rng: np.random.Generator, emotion: str = "überrascht") -> ClipRecord:
    image, motion, face = (rng.integers(0, 256, (*frames, 10, 10, 3), dtype=np.uint8) for frames in ((), (3,), ()))
    return ClipRecord(subject, clip, emotion, 3, -1, 40, 38, 200.0, 0.25, image, motion, face)


def test_what_is_written_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    records = [record(f"s{number}", f"c{clip}", rng) for number in (10, 2) for clip in (11, 9)]
    shards = [tmp_path / f"{number}.h5" for number in range(4)]
    for shard, clip in zip(shards, records, strict=True):
        write_shard(shard, clip, attributes())
        assert validate(shard) == []  # though no checksums are in it
    merge(shards, tmp_path / "all.h5", source_digest="2" * 64)
    with CacheReader(tmp_path / "all.h5") as reader, h5py.File(tmp_path / "all.h5", locking=False) as stock:
        assert reader.clips.keys == ["s2/c9", "s2/c11", "s10/c9", "s10/c11"]
        assert reader.attributes.source_digest == "2" * 64
        assert reader.attributes.recipe == RECIPE and reader.attributes.licence_notice == "nobody may see this"
        for clip in records:
            row = reader.clips.keys.index(clip.key)
            for name in ("motion", "dynamic_image", "onset_frame"):
                assert np.array_equal(reader.read(name, row), getattr(clip, name))
                assert np.array_equal(stock[name][row], getattr(clip, name))
            columns = ("subject", "clip", "emotion", "onset", "apex", "offset", "n_frames", "fps")
            for name in (*columns, "sha256", "onset_frame_sha256"):
                assert getattr(reader.clips, name)[row] == getattr(clip, name)
            assert reader.clips.clipped_fraction[row] == np.float32(0.25)
    assert validate(tmp_path / "all.h5") == []


def test_onset_frames_are_kept_where_all_parts_have_them(
    make_cache: MakeCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of format 1.0 have none; what else a cache holds has one name with and without."""
    old, new = (make_cache(tmp_path / f"{name}.h5", {name: 2}, onset_frames=name != "a") for name in "ab")
    newer = make_cache(tmp_path / "newer.h5", {"a": 2})
    merge([new, newer], tmp_path / "all.h5")
    assert not caplog.records
    merge([old, new], tmp_path / "some.h5")
    assert str(old) in caplog.text
    assert [is_complete(path) for path in (old, new)] == [False, True], "a shard of 1.0 is made anew"
    with CacheReader(tmp_path / "all.h5") as whole, CacheReader(tmp_path / "some.h5") as some:
        assert (whole.has_onset_frames, some.has_onset_frames) == (True, False)
        assert np.array_equal(whole.read("onset_frame", 3), whole.motion(3)[0]) and some.onset_frame(3) is None
        assert validate(some) == validate(whole) == []
        assert some.content_digest == whole.content_digest


def test_the_order_of_parts_and_merging_in_steps_make_no_difference(make_cache: MakeCache, tmp_path: Path) -> None:
    a, b, c = (make_cache(tmp_path / f"{name}.h5", {name: 2}, seed=seed) for seed, name in enumerate("abc"))
    merge([a, b, c], tmp_path / "abc.h5")
    merge([c, a], tmp_path / "ca.h5")
    merge([tmp_path / "ca.h5", b], tmp_path / "cab.h5")
    assert CacheReader(tmp_path / "abc.h5").content_digest == CacheReader(tmp_path / "cab.h5").content_digest


def test_compressed_caches_hold_the_same(sound: Path, tmp_path: Path) -> None:
    plain, gzipped = CacheReader(sound), CacheReader(gzipped_copy(sound, tmp_path / "z.h5"))
    assert gzipped.attributes == plain.attributes
    assert all(motion_of(plain, row) == motion_of(gzipped, row) for row in range(9))
    merge([gzipped], tmp_path / "back.h5")
    for path in (gzipped.path, tmp_path / "back.h5"):
        assert validate(path) == [] and CacheReader(path).content_digest == plain.content_digest


def test_caches_that_do_not_belong_together_are_refused(make_cache: MakeCache, tmp_path: Path) -> None:
    one = make_cache(tmp_path / "one.h5", {"s1": 1})
    for other, word in (
        (make_cache(tmp_path / "size.h5", {"s2": 1}, size=16), "recipe"),
        (make_cache(tmp_path / "set.h5", {"s2": 1}, dataset="samm"), "dataset"),
        (make_cache(tmp_path / "same.h5", {"s1": 1}), "again"),
    ):
        with pytest.raises(UsageError, match=word):
            merge([one, other], tmp_path / "out.h5")
    with pytest.raises(UsageError, match="no parts"):
        merge([], tmp_path / "out.h5")
    assert not list(tmp_path.glob("out*"))


def test_text_that_does_not_fit_is_refused_not_cut(tmp_path: Path, rng: np.random.Generator) -> None:
    for subject in ("é" * 33, "a\0b"):
        with pytest.raises(ValueError, match="subject"):
            write_shard(tmp_path / "s.h5", record(subject, "c", rng), attributes())
    write_shard(tmp_path / "s.h5", record("é" * 32, "c", rng), attributes())
    assert CacheReader(tmp_path / "s.h5").clips.subject == ["é" * 32]
    with pytest.raises(ValueError, match="shape"):
        write_shard(tmp_path / "t.h5", record("s", "c", rng), attributes({**RECIPE, "size": 11}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.h5"]


def test_large_provenance_is_kept(tmp_path: Path, rng: np.random.Generator) -> None:
    write_shard(tmp_path / "s.h5", record("s", "c", rng), attributes())
    omitted = {f"sub{number:02d}/EP{number}": "its frames are missing " * 20 for number in range(500)}
    merge([tmp_path / "s.h5"], tmp_path / "c.h5", provenance={"omitted": omitted})
    assert CacheReader(tmp_path / "c.h5").attributes.provenance == {"omitted": omitted}


def test_natural_order() -> None:
    assert sorted(["sub10", "sub2", "sub1b", "sub1"], key=natural_key) == ["sub1", "sub1b", "sub2", "sub10"]


def motion_of(reader: CacheReader, row: int) -> bytes:
    return reader.motion(row).tobytes()


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_reader_survives_new_processes(sound: Path, method: str) -> None:
    reader = CacheReader(sound)
    expected = [motion_of(reader, row) for row in range(9)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(motion_of, [(reader, row) for row in range(9)]) == expected


def test_a_pickled_reader_holds_no_file_and_finds_its_own(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sound.parent)
    reader = CacheReader(sound.name)
    sent = pickle.dumps(reader)
    monkeypatch.chdir("/")
    copy = pickle.loads(sent)
    assert copy.path == sound and motion_of(copy, 1) == motion_of(reader, 1)


def test_threads_read_the_same_as_one(sound: Path) -> None:
    reader, fresh = CacheReader(sound), CacheReader(sound)
    expected = [motion_of(reader, row) for row in range(9)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda row: motion_of(fresh, row), list(range(9)) * 20)) == expected * 20


def test_a_reader_is_undisturbed_by_a_rebuild(make_cache: MakeCache, tmp_path: Path) -> None:
    path = make_cache(tmp_path / "c.h5", {"s": 3})
    reader = CacheReader(path)
    before = [motion_of(CacheReader(path), row) for row in range(3)]
    make_cache(path, {"s": 3}, seed=9)
    assert motion_of(CacheReader(path), 0) != before[0]
    assert [motion_of(reader, row) for row in range(3)] == before
    for happens in (lambda: None, path.unlink):
        happens()
        with pytest.raises(StaleFile, match=r"c\.h5"):
            pickle.loads(pickle.dumps(reader)).motion(0)


def test_rows_outside_the_cache_are_refused(sound: Path) -> None:
    for row in (-1, 9):
        with pytest.raises(IndexError, match=r"0\.\.8"):
            CacheReader(sound).motion(row)


def test_a_damaged_part_never_reaches_the_merged_file(copy: Path, tmp_path: Path) -> None:
    flip(copy, 8 * next(place.start for place, key in stored_pixels(copy) if key == "s1/EP01") + 40)
    with pytest.raises(InvalidFile, match="s1/EP01"):
        merge([copy], tmp_path / "out.h5")
    assert not list(tmp_path.glob("out*"))


def test_training_opens_each_cache_once(make_cache: MakeCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [make_cache(tmp_path / f"{name}.h5", {"s": 2}, dataset=name) for name in "ab"]
    opened: list[Path] = []
    stock = h5py.File
    monkeypatch.setattr(h5py, "File", lambda path, *more, **named: opened.append(path) or stock(path, *more, **named))
    clips = open_clips(paths)
    for clip in range(len(clips)):
        clips.read("motion", clip)
    assert opened == paths


def test_the_umask_decides_who_may_read_and_write(make_cache: MakeCache, tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        path = make_cache(tmp_path / "c.h5", {"s": 1}, size=16, frames=2)
        with writer_lock(path):
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes.pop("c.h5.lock") & 0o600 == 0o600 and set(modes.values()) == {0o664}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_merge_leaves_the_old_file(
    make_cache: MakeCache, tmp_path: Path, number: signal.Signals
) -> None:
    parts = [make_cache(tmp_path / f"{name}.h5", {name: 2}) for name in "ab"]
    merge(parts[:1], tmp_path / "c.h5")
    before, handler, copied = (tmp_path / "c.h5").read_bytes(), signal.getsignal(number), []

    def interrupt(key: str) -> None:
        copied.append(key)
        if len(copied) == 2:
            signal.raise_signal(number)

    with pytest.raises(Interrupted, match=r"c\.h5"):
        merge(parts, tmp_path / "c.h5", on_clip=interrupt)
    assert copied == ["a/EP00", "a/EP01"], "no clip was copied after the interrupt"
    assert (tmp_path / "c.h5").read_bytes() == before and validate(tmp_path / "c.h5") == []
    assert not list(tmp_path.glob("*.tmp-*")) and signal.getsignal(number) is handler


def test_a_merged_cache_says_what_all_its_parts_say(make_cache: MakeCache, tmp_path: Path) -> None:
    for name, omitted in (("a", {"b/EP00": "gone", "c/EP00": "never there"}), ("b", {"a/EP00": "gone"})):
        make_cache(tmp_path / f"{name}-clips.h5", {name: 1})
        said = {"tool": name, "corrections": [f"{name}: offset"], "notes": ["both"], "omitted": omitted}
        merge([tmp_path / f"{name}-clips.h5"], tmp_path / f"{name}.h5", provenance=said)
    merge([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "c.h5")
    made = CacheReader(tmp_path / "c.h5").attributes.provenance
    assert made["omitted"] == {"c/EP00": "never there"}
    assert (made["corrections"], made["notes"]) == (["a: offset", "b: offset"], ["both"])
