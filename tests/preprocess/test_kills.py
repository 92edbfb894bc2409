"""Kill a build, interrupt it, start it twice: what is finished is kept, and the cache comes out the same."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from builds import SIZE, ended, receipts, same_content, shards_in, stop_before_the_merge, wait_for
from commands import Command, Spawn

from data_cache.read.validate import validate

Arguments = tuple[object, ...]
TIDY = {"c.h5", "c.h5.sha256"}


@pytest.fixture
def arguments(drawn_set: Path) -> Arguments:
    return ("mpt-preprocess", "casme2", "--root", drawn_set, *SIZE, "-j", 1, "-o", "c.h5")


@pytest.fixture
def slow_arguments(drawn_set: Path) -> Arguments:
    return ("mpt-preprocess", "casme2", "--root", drawn_set, "--size", 224, "--levels", 3, "-o", "c.h5", "-j")


@pytest.mark.parametrize("moment", ["while making shards", "while merging"])
def test_a_killed_build_goes_on(
    spawn: Spawn, command: Command, arguments: Arguments, uninterrupted: Path, tmp_path: Path, moment: str
) -> None:
    program, merging = spawn(*arguments), moment == "while merging"
    wait_for(lambda: any(tmp_path.glob("c.h5.tmp-*")) if merging else len(shards_in(tmp_path)) >= 5)
    ended(program, signal.SIGKILL)
    if not (tmp_path / "c.h5").exists():  # it may have come to the end of the merge
        kept = len(shards_in(tmp_path))
        assert kept == 20 if merging else 5 <= kept < 20
        done = command(*arguments, "--log-file", "log.jsonl")
        assert done.code == 0, done.err
        assert "taking over" in done.err
        log = receipts(tmp_path / "log.jsonl")
        assert Counter(each["status"] for each in log) == Counter(reused=kept, done=20 - kept)
        assert len({each["clip"] for each in log}) == 20
        assert {path.name for path in tmp_path.iterdir()} == {*TIDY, "log.jsonl"}
    else:
        assert merging
    assert same_content(tmp_path / "c.h5", uninterrupted)
    assert not list(tmp_path.glob("*.tmp-*"))


def test_what_a_kill_in_the_final_clean_up_left_is_finished_by_the_same_command(
    command: Command, arguments: Arguments, tmp_path: Path
) -> None:
    assert command(*arguments).code == 0
    checksum = (tmp_path / "c.h5.sha256").read_bytes()
    (tmp_path / "c.h5.sha256").unlink()
    (tmp_path / "c.h5.parts").mkdir()
    for name in ("c.h5.parts/a.h5", "c.h5.tmp-1", "c.h5.lock"):
        (tmp_path / name).touch()
    done = command(*arguments)
    assert done.code == 0 and "up to date" in done.err
    assert {path.name for path in tmp_path.iterdir()} == TIDY
    assert (tmp_path / "c.h5.sha256").read_bytes() == checksum


@pytest.mark.slow
def test_six_kills_in_the_final_clean_up(
    spawn: Spawn, command: Command, arguments: Arguments, uninterrupted: Path, tmp_path: Path
) -> None:
    stop_before_the_merge(command, *arguments)
    kept, left = tmp_path / "c.h5.parts", set()
    for number in range(3000):  # so that the clean-up takes long enough to be hit
        (kept / f"{number}.tmp").touch()
    kept = kept.rename(tmp_path / "kept")
    for number in range(6):
        shutil.copytree(kept, tmp_path / "c.h5.parts")
        program = spawn(*arguments)
        wait_for((tmp_path / "c.h5").exists)
        time.sleep(0.004 * number)
        ended(program, signal.SIGKILL)
        assert validate(tmp_path / "c.h5") == [] and same_content(tmp_path / "c.h5", uninterrupted)
        left |= {path.name for path in tmp_path.glob("c.h5*")}
        done = command(*arguments)
        assert done.code == 0 and "up to date" in done.err
        assert {path.name for path in tmp_path.glob("c.h5*")} == TIDY
        for name in TIDY:
            (tmp_path / name).unlink()
    assert left > TIDY, "none came early enough"


@pytest.mark.parametrize("planted", ["folder", "file"])
def test_shards_never_go_where_a_planted_link_leads(
    command: Command, arguments: Arguments, uninterrupted: Path, tmp_path: Path, planted: str
) -> None:
    victim, parts = tmp_path / "victim", tmp_path / "c.h5.parts"
    victim.mkdir()
    if planted == "folder":
        parts.symlink_to(victim)
        for _ in range(2):
            done = command(*arguments)
            assert done.code == 2 and parts.name in done.err.splitlines()[-1]
            assert list(victim.iterdir()) == [] and not (tmp_path / "c.h5.lock").exists()
            shutil.copy(uninterrupted, tmp_path / "c.h5")  # up to date, but not tidy
        return
    stop_before_the_merge(command, *arguments)
    for number, shard in enumerate(shards_in(tmp_path)[:4]):
        shard.replace(victim / shard.name)
        (shard.symlink_to if number % 2 else shard.hardlink_to)(victim / shard.name)
    before = {path: path.read_bytes() for path in victim.iterdir()}
    assert command(*arguments).code == 0
    assert before == {path: path.read_bytes() for path in victim.iterdir()}
    assert same_content(tmp_path / "c.h5", uninterrupted)


@pytest.mark.slow
def test_thirty_kills_at_random_moments(spawn: Spawn, command: Command, tmp_path: Path) -> None:
    """The demo set in full, both cores, the whole process group killed; whatever is left is whole or absent."""
    arguments = ("mpt-preprocess", "demo", "--size", 112, "-o", "c.h5")
    ended(spawn(*arguments[:-1], "reference.h5"), seconds=None)
    started = time.monotonic()
    ended(spawn(*arguments[:-1], "timing.h5"), seconds=None)
    takes = time.monotonic() - started
    random.seed(1)
    kills = absent = whole = recomputed = 0
    log = tmp_path / "log.jsonl"
    while kills < 30 or whole == 0:
        program = spawn(*arguments, "--log-file", log)
        try:  # the last run is left alone, for on a busy machine none of the others may have come to its end
            program.wait(timeout=random.uniform(0.2, 1.05) * takes if kills < 30 else None)
        except subprocess.TimeoutExpired:
            ended(program, signal.SIGKILL)
            kills += 1
        if not (tmp_path / "c.h5").exists():
            assert program.returncode == -signal.SIGKILL
            absent += 1
            continue
        # Finished, or killed after the cache had appeared: it must be whole, and every clip made once.
        whole += 1
        assert validate(tmp_path / "c.h5") == []
        assert same_content(tmp_path / "c.h5", tmp_path / "reference.h5")
        assert command(*arguments).code == 0
        done = Counter(each["clip"] for each in receipts(log) if each["status"] == "done")
        recomputed += sum(count > 1 for count in done.values())
        for path in (tmp_path / "c.h5", tmp_path / "c.h5.sha256", log):
            path.unlink(missing_ok=True)
    figures = f"{kills} kills: {absent} times absent, {whole} times whole; a run takes {takes:.1f} s"
    Path(os.environ.get("MPT_TEST_FIGURES", os.devnull)).write_text(f"{figures}; {recomputed} recomputed\n")
    assert recomputed == 0, figures
    assert whole >= 1 and absent + whole >= 30, figures


@pytest.mark.parametrize(
    ("jobs", "number"),
    [(1, signal.SIGINT), *(pytest.param(2, each, marks=pytest.mark.slow) for each in (signal.SIGTERM, signal.SIGINT))],
)
def test_interrupted_it_finishes_what_is_in_hand(
    spawn: Spawn, slow_arguments: Arguments, drawn_set: Path, tmp_path: Path, jobs: int, number: int
) -> None:
    program = spawn(*slow_arguments, jobs)
    wait_for(lambda: len(shards_in(tmp_path)) >= 1)
    code, out = ended(program, number)
    assert code == 130, out
    assert "Traceback" not in out and "KeyboardInterrupt" not in out
    last = out.strip().splitlines()[-1]
    kept = shards_in(tmp_path)
    assert "interrupted" in last and f"preprocess.cli casme2 --root {drawn_set}" in last
    for shard in kept:
        assert validate(shard) == []
    assert not list(tmp_path.glob("*.tmp-*")) and not list(tmp_path.glob("*.lock"))
    if number == signal.SIGINT:  # SIGTERM ends the workers of the group at once, in the middle of a shard perhaps
        assert not list(tmp_path.rglob("*.tmp-*"))
        assert f"; {len(kept)} of 20 clips are done" in last


def test_an_interrupt_before_and_after_the_work_is_no_traceback_either(
    spawn: Spawn, arguments: Arguments, tmp_path: Path
) -> None:
    program = spawn(*arguments)
    wait_for(lambda: any(tmp_path.glob("c.h5.tmp-*")) or (tmp_path / "c.h5").exists())
    code, out = ended(program, signal.SIGINT)
    assert code in (0, 130) and "Traceback" not in out, out
    assert not list(tmp_path.glob("*.tmp-*"))


@pytest.mark.slow  # in one process: "two writers" in `test_cache_format_page`
def test_two_producers_at_once(spawn: Spawn, command: Command, slow_arguments: Arguments, tmp_path: Path) -> None:
    first = spawn(*slow_arguments, 1)
    wait_for(lambda: len(shards_in(tmp_path)) >= 1)
    first.send_signal(signal.SIGSTOP)  # or it may be done before the second has begun
    second = command(*slow_arguments, 1)
    first.send_signal(signal.SIGCONT)
    assert second.code == 6
    assert f"process {first.pid} on" in second.err and "Traceback" not in second.err
    assert ended(first)[0] == 0
    assert validate(tmp_path / "c.h5") == []
