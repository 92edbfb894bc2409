"""A full disk is one clear line and exit code 7: no crash, no half file, nothing lost that was done."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builds import SIZE, ended, same_content
from commands import Command, MakeCache, Spawn

from data_cache.errors import NoSpace
from data_cache.files import atomic
from data_cache.read.reader import CacheReader
from data_cache.read.validate import validate
from data_cache.schema import cache_bytes

# A limit on the size of files fails like a full disk, at any byte that one likes to choose.
EVERY_BYTE = """
import resource, sys
from pathlib import Path
from data_cache.errors import NoSpace
from data_cache.write.shards import merge
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
size, outcomes = source.stat().st_size, []
for step in range(41):
    limit = size * step // 40 + 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        merge([source], folder / f"{step}.h5")
        outcomes.append("made")
    except NoSpace as error:
        outcomes.append("full")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(" ".join(outcomes))
"""


def test_writing_fails_cleanly_wherever_the_disk_ends(make_cache: MakeCache, tmp_path: Path) -> None:
    source = make_cache(tmp_path / "source.h5", {"s": 4})
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run([sys.executable, "-c", EVERY_BYTE, source, out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # 139 or 135 is the crash of HDF5 at exit
    assert done.stderr == ""
    outcomes = done.stdout.split()
    assert outcomes.count("full") > 30 and outcomes[-1] == "made"
    for step, outcome in enumerate(outcomes):
        path = out / f"{step}.h5"
        assert path.exists() == (outcome == "made")
        assert not path.exists() or validate(path) == []
    assert not list(out.glob("*.tmp-*"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 60 of our shards."""
    place = tmp_path / "disk"
    place.mkdir()
    size = 60 * cache_bytes(1, 16, 64)
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_during_the_build(spawn: Spawn, drawn_set: Path, disk: Path, jobs: int) -> None:
    """Something else takes the space that was free when the build began."""
    filler = disk / "filler"
    filler.write_bytes(bytes(48 * cache_bytes(1, 16, 64)))  # leaves room for 12 of 20 shards
    # The check before the start is blind here, as it is to a quota.
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", jobs, "-o", disk / "c.h5")
    code, out = ended(spawn("tests.helpers.blind_to_space", *arguments))
    assert code == 7 and "disk full while writing" in out and "Traceback" not in out, out
    shards = list((disk / "c.h5.parts").glob("*.h5"))
    assert len(shards) >= 8
    for shard in shards:
        assert validate(shard) == []
    assert not (disk / "c.h5").exists()
    filler.write_bytes(bytes(30 * cache_bytes(1, 16, 64)))
    before = {shard: shard.stat().st_mtime_ns for shard in shards}
    # Now the shards fit, and the merge is what fills the disk.
    code, out = ended(spawn("tests.helpers.blind_to_space", *arguments))
    assert code == 7 and "Traceback" not in out, out
    assert {shard: shard.stat().st_mtime_ns for shard in before} == before, "finished shards were made again"
    assert len(list((disk / "c.h5.parts").glob("*.h5"))) == 20
    assert not list(disk.glob("c.h5.tmp-*")) and not (disk / "c.h5").exists()


@pytest.mark.slow
@pytest.mark.parametrize("room", [0.3, 3, 8, 14, 19.7, 25, 32, 37])
def test_a_disk_that_is_full_at_any_level(
    spawn: Spawn, drawn_set: Path, uninterrupted: Path, disk: Path, room: float
) -> None:
    """What fits, in shards of which 20 are needed, and a cache as large as all of them."""
    (disk / "filler").write_bytes(bytes(int((60 - room) * cache_bytes(1, 16, 64))))
    arguments = ("casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", disk / "c.h5")
    code, out = ended(spawn("tests.helpers.blind_to_space", *arguments))
    assert code == 7 and "Traceback" not in out, out
    assert not (disk / "c.h5").exists() and not list(disk.rglob("*.tmp-*"))
    (disk / "filler").unlink()
    code, out = ended(spawn("mpt-preprocess", *arguments))
    assert code == 0, out
    assert same_content(disk / "c.h5", uninterrupted)
    assert {path.name for path in disk.iterdir()} == {"c.h5", "c.h5.sha256"}


def test_too_little_space_is_said_before_anything_is_written(
    command: Command, drawn_set: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needed = 20 * cache_bytes(1, 16, 64) + cache_bytes(20, 16, 64)
    monkeypatch.setattr(atomic, "free_bytes", lambda path: needed - 1)
    done = command("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1)
    assert done.code == 7
    assert "need" in done.err and "free" in done.err and "20 shards" in done.err
    assert not list(tmp_path.rglob("*.h5")) and not list(tmp_path.rglob("*.parts"))
    monkeypatch.setattr(atomic, "free_bytes", lambda path: needed)
    assert command("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1).code == 0


def test_the_estimate_of_space_is_enough_and_not_wasteful(
    command: Command, drawn_set: Path, make_cache: MakeCache, tmp_path: Path
) -> None:
    for subjects in ({"s": 1}, {"s": 30}):
        path = make_cache(tmp_path / "c.h5", subjects, size=64, frames=16)
        estimated = cache_bytes(sum(subjects.values()), 16, 64)
        assert path.stat().st_size <= estimated <= path.stat().st_size * 1.1


def test_a_full_disk_during_a_copy_or_merge_of_caches(
    command: Command, make_cache: MakeCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_cache(tmp_path / "c.h5", {"s": 2})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room, *arguments in (
        (20_000, "merge", path, "-o", tmp_path / "m.h5"),
        (500, "export", path, "-o", tmp_path / "f.json"),
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            done = command("mpt-cache", *arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert done.code == 7 and "disk full" in done.err and "Traceback" not in done.err
    assert not list(tmp_path.rglob("*.tmp-*"))
    assert CacheReader(path).clips.keys == ["s/EP00", "s/EP01"]
    with pytest.raises(NoSpace):  # by what the system says is free
        atomic.require_space(tmp_path, 10**18, "everything")
    monkeypatch.setattr(atomic, "free_bytes", lambda path: 10)
    with pytest.raises(NoSpace, match=r"need 999\.90 MB and 10 bytes"):
        atomic.require_space(tmp_path, 999_900_000, "copies")
