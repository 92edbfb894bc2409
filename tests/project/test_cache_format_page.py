"""The pages on the cache format and on exit codes say what the program does: tables, example, messages, codes."""

import errno
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import h5py
import numpy as np
import pytest
from builds import SMALL
from commands import Command, MakeCache, WriteFrames
from flips import flip

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


MESSAGES = {row.split(" | ")[0].removeprefix("| "): row for row in marked("messages")[2:]}


def test_the_tables_are_those_of_the_schema_and_of_the_errors() -> None:
    assert marked("fields")[2:] == [
        f"| `/{field.path}` | {field.since} | {field.kind} | {' × '.join(map(str, ('N', *field.shape)))} "
        f"| {field.meaning} |"
        for field in FIELDS
    ]
    assert marked("attributes")[2:] == [f"| `{name}` | {meaning} |" for name, meaning in ATTRIBUTES.items()]
    done, bug, *codes = marked("codes")[2:]
    errors = sorted(MptError.__subclasses__(), key=lambda error: error.exit_code)
    assert codes == [f"| {error.exit_code} | {str(error.__doc__).splitlines()[0]} |" for error in errors]
    assert done.startswith("| 0 |") and bug.startswith("| 1 |")
    assert list(MESSAGES) == list(SITUATIONS)


def flipped(target: Path) -> Path:
    """The archived cache with another bit in the motion of its second clip."""
    shutil.copy(ARCHIVED, target)
    with h5py.File(ARCHIVED) as file:
        flip(target, 8 * file["motion"].id.get_chunk_info(1).byte_offset)
    return target


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
    damaged = flipped(tmp_path / "flipped.h5")
    assert subprocess.run([sys.executable, alone, damaged], capture_output=True).returncode != 0


def test_files_are_written_as_the_page_demands(make_cache: MakeCache, tmp_path: Path) -> None:
    with h5py.File(make_cache(tmp_path / "c.h5", {"s10": 1, "s2": 2}), locking=False) as file:
        assert set(file.attrs) == set(ATTRIBUTES)
        texts = set(ATTRIBUTES) - {"complete"}
        assert not any(file.attrs.get_id(name).get_type().is_variable_str() for name in texts)
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


Said = tuple[str, int]


@dataclass
class Work:
    """What brings about a message and its code, in an empty folder with a data set of one small clip."""

    command: Command

    def info(self, data: bytes | None = None, change: Callable[[h5py.File], object] | None = None) -> Said:
        """`mpt-cache info` on these bytes, or on the archived cache after a change."""
        if data:
            Path("c.h5").write_bytes(data)
        if change:
            with h5py.File(shutil.copy(ARCHIVED, "c.h5"), "r+") as file:
                change(file)
        done = self.command("mpt-cache", "info", "c.h5")
        return done.err, done.code

    def build(self, *more: object, patched: str | None = None, by: object = None) -> Said:
        with pytest.MonkeyPatch.context() as patch:
            if patched:
                patch.setattr(patched, by)
            done = self.command("mpt-preprocess", "manifest", "own.csv", *SMALL, "-o", "c.h5", *more)
        return done.err, done.code

    def build_of_no_image(self) -> Said:
        Path("a/reg_img3.jpg").write_bytes(b"no image")
        return self.build()

    def build_twice(self) -> Said:
        assert self.build()[1] == 0
        return self.build("--alpha", 10)

    def build_beside_another(self) -> Said:
        with writer_lock(Path("c.h5")):
            return self.build()

    def run_twice(self) -> None:
        for rate in (1, 2):
            RunFolder(Path("run")).start({"lr": rate}, {}, overwrite=False)

    def write_to_a_full_disk(self) -> None:
        with replacing(Path("c.h5")):
            raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def pressed() -> Iterator[Event]:
    stop = Event()
    stop.set()
    yield stop


SITUATIONS: dict[str, Callable[[Work], Said | None]] = {
    "no such file": Work.info,
    "a login page, an empty file": lambda work: work.info(b"<html>Sign in</html>"),
    "a copy that broke off": lambda work: work.info(ARCHIVED.read_bytes()[:-1]),
    "another kind of HDF5 file": lambda work: work.info(change=lambda file: (file.attrs.clear(), file.clear())),
    "never finished": lambda work: work.info(change=lambda file: file.attrs.pop("complete")),
    "a later format": lambda work: work.info(change=lambda file: file.attrs.update({"format_version": "2.0"})),
    "a flipped bit": lambda _: CacheReader(flipped(Path("c.h5"))).motion(1),
    "clips that cannot be used": Work.build_of_no_image,
    "another recipe": Work.build_twice,
    "other settings of a run": Work.run_twice,
    "two writers": Work.build_beside_another,
    "too little space, before starting": lambda work: work.build(
        patched="shutil.disk_usage", by=lambda _: shutil._ntuple_diskusage(10, 10, 10)
    ),
    "too little space, on the way": Work.write_to_a_full_disk,
    "Ctrl-C, or SIGTERM from a scheduler": lambda work: work.build(
        patched="preprocess.job.build.stop_request", by=pressed
    ),
}


@pytest.mark.parametrize("what", SITUATIONS)
def test_a_message_of_the_table_is_what_is_said(command: Command, write_frames: WriteFrames, what: str) -> None:
    found = re.fullmatch(r"\| .*? \| `(.*?)`.*\| (\d+) \|", MESSAGES[what])
    assert found
    write_frames(Path("a"), range(1, 9))
    Path("own.csv").write_text("subject,clip,path,emotion,fps\np,a,a,happy,100\n")
    try:
        said, code = SITUATIONS[what](Work(command)) or ("", 0)
    except MptError as error:
        said, code = str(error), error.exit_code
    pattern = re.escape(found[1]).replace("…", ".+").replace("PATH", r"\S*c\.h5").replace("RUN", "run")
    assert re.search(pattern, said) and code == int(found[2]), f"{said} ({code})"
    assert "Traceback" not in said
