"""A crafted cache reads nothing and writes nothing outside itself, and is refused in one line with exit code 4."""

from pathlib import Path

import pytest
from commands import Command, MakeCache
from crafted import CRAFTED, SENTINEL, craft, private_file, tree

from data_cache.errors import InvalidFile
from data_cache.read.reader import CacheReader
from train.data.task import open_clips


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return private_file(tmp_path / "victim")


@pytest.mark.parametrize("kind", CRAFTED)
def test_it_reaches_nothing(command: Command, copy: Path, secret: Path, kind: str) -> None:
    craft(copy, CRAFTED[kind], secret)
    (copy.parent / "work").mkdir()
    before = tree(copy.parent)
    json = ("--json",) * (list(CRAFTED).index(kind) % 2)
    for arguments in (
        ("verify", *json, copy),
        ("info", *json, copy),
        ("merge", copy, "-o", "work/m.h5"),
        ("export", copy, "-o", "work/f.json"),
        ("preview", copy, "-o", "work/p.png"),
    ):
        done = command("mpt-cache", *arguments)
        said = done.out + done.err
        assert done.code == 4, f"{arguments}: {done.code} {said}"
        assert len(done.err.strip().splitlines()) == 1 and "Traceback" not in said, said
        assert SENTINEL not in said and "\x1b" not in said and "\x9b" not in said
        assert len(done.out.splitlines()) <= (30 if "--json" in arguments else 3) and len(said) < 3000, said
    with pytest.raises(InvalidFile):
        open_clips([copy])
    try:  # what is wrong in the annotation alone is for `verify` to list
        CacheReader(copy).close()
    except InvalidFile as error:
        assert "\n" not in str(error) and SENTINEL not in str(error)
    assert tree(copy.parent) == before


def test_chinese_and_mathematical_names_are_text_in_a_figure(command: Command, make_cache: MakeCache) -> None:
    subjects, emotions = {"被试一": 1, "$a$b^{$": 1}, ("厌恶",) * 5
    make_cache(Path("c.h5"), subjects, dataset="微表情", emotions=emotions, size=16, frames=2)
    done = command("mpt-cache", "preview", "c.h5")
    assert done.code == 0 and "Traceback" not in done.err, done.err
    refused = command("mpt-cache", "preview", "c.h5")
    assert refused.code == 2 and "--force" in refused.err
