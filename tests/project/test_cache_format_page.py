"""The pages on the cache format and on exit codes say what the program does: tables, example, messages, codes."""

import errno
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import h5py
import numpy as np
import pytest
from commands import Command, MakeCache, WriteFrames

from data_cache.errors import MptError
from data_cache.files.atomic import replacing
from data_cache.files.lock import writer_lock
from data_cache.read.open import read_attribute
from data_cache.read.reader import CacheReader
from data_cache.read.validate import validate
from data_cache.schema import ATTRIBUTES, FIELDS, fields_of
from train.results.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
PAGES = ("cache-format", "exit-codes")
PAGE = "".join((ROOT / f"docs/reference/{name}.md").read_text(encoding="utf-8") for name in PAGES)
ARCHIVED = ROOT / "tests/archive/cache-v1.h5"


def marked(name: str) -> list[str]:
    return PAGE.split(f"<!-- {name} -->\n")[1].split("\n<!-- end -->")[0].splitlines()


def test_the_table_of_fields_is_the_schema() -> None:
    rows = [
        f"| `/{field.path}` | {field.since} | {field.kind} | {' × '.join(map(str, ('N', *field.shape)))} "
        f"| {field.meaning} |"
        for field in FIELDS
    ]
    assert marked("fields")[2:] == rows


def test_the_table_of_attributes_is_the_schema() -> None:
    assert marked("attributes")[2:] == [f"| `{name}` | {meaning} |" for name, meaning in ATTRIBUTES.items()]


def test_the_table_of_codes_is_the_one_in_force() -> None:
    errors = sorted(MptError.__subclasses__(), key=lambda error: error.exit_code)
    expected = [f"| {error.exit_code} | {str(error.__doc__).splitlines()[0]} |" for error in errors]
    assert marked("codes")[4:] == expected
    assert [row[:5] for row in marked("codes")[2:4]] == ["| 0 |", "| 1 |"]


def test_the_example_is_the_script_and_runs_without_this_package(tmp_path: Path) -> None:
    script = ROOT / "examples/read_cache.py"
    assert "\n".join(marked("example")) == f"```python\n{script.read_text(encoding='utf-8')}```"
    alone = tmp_path / "read_cache.py"
    shutil.copy(script, alone)
    blocker = "import sys; sys.modules.update(dict.fromkeys(['data_cache', 'preprocess', 'train', 'torch', 'cv2']))\n"
    alone.write_text(blocker + alone.read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run([sys.executable, alone, ARCHIVED], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Pseudo-random noise" in done.stdout and "with alpha 20.0" in done.stdout
    for line in ("s2/b surprise (4, 16, 16, 3) 200 Hz", "s2/ü disgust", "s10/a_1 others"):
        assert line in done.stdout
    flipped = bytearray(ARCHIVED.read_bytes())
    with h5py.File(ARCHIVED) as file:
        flipped[file["motion"].id.get_chunk_info(1).byte_offset] ^= 1
    (tmp_path / "flipped.h5").write_bytes(flipped)
    assert subprocess.run([sys.executable, alone, tmp_path / "flipped.h5"], capture_output=True).returncode != 0


def test_files_are_written_as_the_page_demands(make_cache: MakeCache, tmp_path: Path) -> None:
    with h5py.File(make_cache(tmp_path / "c.h5", {"s10": 1, "s2": 2}), locking=False) as file:
        assert set(file.attrs) == set(ATTRIBUTES)
        assert all(
            file.attrs.get_id(name).get_type().is_variable_str() is False for name in set(ATTRIBUTES) - {"complete"}
        )
        assert file.attrs["complete"].dtype == bool
        assert [key.decode() for key in file["clips/subject"]] == ["s2", "s2", "s10"]
        for field in FIELDS:
            assert file[field.path].fletcher32 and file[field.path].dtype.str[0] in "<|"
        for dataset in (file[field.path] for field in FIELDS if field.is_image):
            assert dataset.chunks == (1, *dataset.shape[1:]) and dataset.compression is None
    assert (tmp_path / "c.h5").read_bytes()[8] == 3  # the superblock of HDF5 1.10


def test_another_writer_may_follow_the_page_in_other_ways(tmp_path: Path) -> None:
    """Text of variable length, rows in another order, more than we know of, no checksums: all allowed."""
    path = tmp_path / "other.h5"
    with h5py.File(ARCHIVED, locking=False) as archived, h5py.File(path, "w") as file:
        for field in fields_of(onset_frames=False):
            chunks = (1, *archived[field.path].shape[1:]) if field.is_image else None
            file.create_dataset(field.path, data=archived[field.path][:][::-1], dtype=field.dtype, chunks=chunks)
        for name in ATTRIBUTES:
            file.attrs[name] = read_attribute(archived, name)
        file.attrs.update({"format_version": "1.7", "colour_space": "sRGB"})
        file["clips/age"] = np.zeros(3)
    problems = validate(path)
    assert {problem.severity for problem in problems} == {"warning"}
    assert all("no checksums" in problem.message for problem in problems) and len(problems) == 12
    with CacheReader(path) as ours, CacheReader(ARCHIVED) as theirs:
        assert ours.content_digest == theirs.content_digest
        np.testing.assert_array_equal(ours.motion(0), theirs.motion(2))


# Each situation of the table of messages, brought about. Each gives the message and the code.

Said = tuple[str, int]


def seen(done: Any) -> Said:
    return done.err, done.code


def raised(action: Callable[[], object]) -> Said:
    with pytest.raises(MptError) as error:
        action()
    return str(error.value), error.value.exit_code


def info_of(command: Command, data: bytes | None) -> Said:
    if data is not None:
        Path("c.h5").write_bytes(data)
    return seen(command("mpt-cache", "info", "c.h5"))


def info_of_changed(command: Command, change: Callable[[h5py.File], None]) -> Said:
    shutil.copy(ARCHIVED, "c.h5")
    with h5py.File("c.h5", "r+") as file:
        change(file)
    return info_of(command, None)


def foreign(command: Command) -> Said:
    with h5py.File("c.h5", "w") as file:
        file["data"] = [1]
    return info_of(command, None)


def flipped_bit(command: Command) -> Said:
    data = bytearray(ARCHIVED.read_bytes())
    with h5py.File(ARCHIVED) as file:
        data[file["motion"].id.get_chunk_info(1).byte_offset] ^= 1
    Path("c.h5").write_bytes(data)
    return raised(lambda: CacheReader("c.h5").motion(1))


@pytest.fixture
def build(command: Command, write_frames: WriteFrames, tmp_path: Path) -> Callable[..., Said]:
    """`mpt-preprocess` on a set of one small clip."""
    write_frames(tmp_path / "a", range(1, 9))
    (tmp_path / "own.csv").write_text("subject,clip,path,emotion,fps\np,a,a,happy,100\n")

    def run(*more: object) -> Said:
        sizes = ("--size", 16, "--levels", 2, "-j", 1)
        return seen(command("mpt-preprocess", "manifest", "own.csv", *sizes, "-o", "c.h5", *more))

    return run


def a_clip_that_fails(build: Callable[..., Said]) -> Said:
    Path("a/reg_img3.jpg").write_bytes(b"no image")
    return build()


def another_recipe(build: Callable[..., Said]) -> Said:
    assert build()[1] == 0
    return build("--alpha", 10)


def two_writers(build: Callable[..., Said]) -> Said:
    with writer_lock(Path("c.h5")):
        return build()


def no_space_at_all(build: Callable[..., Said]) -> Said:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 10))
        return build()


def no_space_on_the_way() -> Said:
    def write() -> None:
        with replacing(Path("c.h5")):
            raise OSError(errno.ENOSPC, "No space left on device")

    return raised(write)


def interrupted(build: Callable[..., Said]) -> Said:
    @contextmanager
    def pressed() -> Iterator[Event]:
        stop = Event()
        stop.set()
        yield stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("preprocess.job.build.stop_request", pressed)
        return build()


def other_settings() -> Said:
    folder = RunFolder(Path("run"))
    folder.start({"lr": 1}, {}, overwrite=False)
    return raised(lambda: folder.start({"lr": 2}, {}, overwrite=False))


def test_every_message_of_the_table_is_what_is_said(command: Command, build: Callable[..., Said]) -> None:
    whole = ARCHIVED.read_bytes()
    situations: dict[str, Callable[[], Said]] = {
        "no such file": lambda: info_of(command, None),
        "a login page, an empty file": lambda: info_of(command, b"<html>Sign in</html>"),
        "a copy that broke off": lambda: info_of(command, whole[:-1]),
        "another kind of HDF5 file": lambda: foreign(command),
        "never finished": lambda: info_of_changed(command, lambda file: file.attrs.__delitem__("complete")),
        "a later format": lambda: info_of_changed(command, lambda file: file.attrs.update({"format_version": "2.0"})),
        "a flipped bit": lambda: flipped_bit(command),
        "clips that cannot be used": lambda: a_clip_that_fails(build),
        "another recipe": lambda: another_recipe(build),
        "other settings of a run": other_settings,
        "two writers": lambda: two_writers(build),
        "too little space, before starting": lambda: no_space_at_all(build),
        "too little space, on the way": no_space_on_the_way,
        "Ctrl-C, or SIGTERM from a scheduler": lambda: interrupted(build),
    }
    rows = [re.fullmatch(r"\| (.*?) \| `(.*?)`.*\| (\d+) \|", row) for row in marked("messages")[2:]]
    assert [row[1] for row in rows if row] == list(situations)
    images = {path: path.read_bytes() for path in Path("a").iterdir()}
    for row in rows:
        assert row is not None
        Path("c.h5").unlink(missing_ok=True)
        for path, data in images.items():
            path.write_bytes(data)
        said, code = situations[row[1]]()
        pattern = re.escape(row[2]).replace("…", ".+").replace("PATH", r"\S*c\.h5").replace("RUN", "run")
        assert re.search(pattern, said) and code == int(row[3]), f"{row[1]}: {said} ({code})"
        assert "Traceback" not in said
        shutil.rmtree("c.h5.parts", ignore_errors=True)
