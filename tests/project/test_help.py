"""Help in two tiers at 80 columns, in the words of the field; paths as arguments or options; advice that works."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from commands import Command, every_command

from data_cache.console.help import MOST_SHOWN, choices_of, kinds_of, options_of
from data_cache.errors import PAGES, installation

ROOT = Path(__file__).parents[2]
PACKAGES = ("data_cache", "preprocess", "train")

PRIVATE = {
    r"\bknobs?\b": "a setting",
    r"\bmend(s|ed)?\b": "fix, correct",
    r"\blook (it )?over\b|\blook a \w+ \w+ over": "check",
    r"\bhand \w+ on\b": "export",
    r"\bsound\b": "valid",
    r"\bas expected\b": "OK, and what was compared",
    r"0 that cannot be used|every shard is there": "all usable; nothing to do",
    r"multiply.adds": "MACs",
    r"\brooms?\b|\bhouse\b|\bidles\b": "packages, rules, unused weights",
    r"(?<!-)--most\b": "--max-clips",
    r"^of (SMIC|CASME|CAS|a manifest)\b": "what it is: the camera of SMIC",
    r"trained: head|without more ado|look before": "head parameters; nothing",
    r"\bgo on with\b": "resume with",
    r"\bmoments\b": "temporal kernels",
    r"no use for that freedom": "the kernels hardly differ between clips",
    r"\(none\)|Default: the defaults": "what is chosen, or no default",
}
"""Words that only this project used, and what the field says."""


EVERY = every_command()
each_command = pytest.mark.parametrize("typed", EVERY, ids=" ".join)


@pytest.fixture
def read(command: Command, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The lines of a help text at a width."""

    def run(*typed: str, columns: int = 80) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        done = command(*typed)
        assert done.code == 0
        return done.out.splitlines()

    return run


def flags_in(lines: list[str]) -> set[str]:
    """The long options that have a row of their own."""
    rows = [line for line in lines if re.match(r"  -", line)]
    return {flag.replace("[no-]", "") for row in rows for flag in re.findall(r"--[\w\[\]-]+", row[:60])[:1]}


@each_command
def test_the_first_tier_fits_on_a_screen(read: Any, typed: tuple[str, ...]) -> None:
    lines = read(*typed, "--help")
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    shown = options_of(EVERY[typed], everything=False)
    more = len(shown) < len(options_of(EVERY[typed]))
    assert len(flags_in(lines)) <= MOST_SHOWN and len(flags_in(lines)) == len(shown) + more
    assert ("--help-all" in flags_in(lines)) == more


@pytest.mark.parametrize("columns", [80, 120])
@each_command
def test_every_option_is_in_the_second_tier_with_room_for_its_text(
    read: Any, typed: tuple[str, ...], columns: int
) -> None:
    lines = read(*typed, "--help-all", columns=columns)
    options = options_of(EVERY[typed])
    assert max(map(len, lines)) <= columns
    assert flags_in(lines) == {next(flag for flag in each.opts if flag.startswith("--")) for each in options}
    assert all(len(line) - len(line.lstrip()) <= columns - 30 for line in lines if line.startswith("   "))


@each_command
def test_texts_are_sentences_with_real_defaults_and_without_noise(read: Any, typed: tuple[str, ...]) -> None:
    text = "\n".join(read(*typed, "--help-all"))
    assert not re.search(r"<(bool|str|int|path)>|\[x?[<>]=|<=x|range\]|\{\w+\}", text)
    kinds = kinds_of(EVERY[typed])
    for each in options_of(EVERY[typed]):
        assert each.help and len(each.help) < 400, each.name
        assert each.show_default != "none" or "none" in choices_of(kinds[each.name])


@pytest.mark.parametrize("word", PRIVATE)
def test_no_private_word_is_left(word: str) -> None:
    """In the texts of all commands and in what the packages print, which is every string that is no docstring."""
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for text in printed_texts(path)
        if re.search(word, text, re.IGNORECASE)
    ]
    commands = [(*typed, each.help) for typed, each in EVERY.items() if re.search(word, each.help or "", re.IGNORECASE)]
    assert found == commands == [], PRIVATE[word]


@cache
def printed_texts(path: Path) -> list[str]:
    """The strings of a module, its docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in bare)
    return [each.value for each in strings if isinstance(each.value, str)]


def test_pages_that_a_help_names_are_there() -> None:
    before, after = PAGES.split("{page}")
    texts = [each.help or "" for command in EVERY.values() for each in command.params]
    named = {name for text in texts for name in re.findall(re.escape(before) + r"([\w/-]+)" + re.escape(after), text)}
    assert named and all((ROOT / "docs" / f"{name}.md").is_file() for name in named)
    assert not [text for text in texts if re.search(r"\bdocs/(?!\S+ in the clone)", text)]


def test_nothing_is_installed_from_an_index_that_does_not_have_it() -> None:
    assert installation("faces", "remote") == "pip install '.[faces,remote]' in the clone of this project"
    texts = [text for package in PACKAGES for path in (ROOT / package).rglob("*.py") for text in printed_texts(path)]
    advice = [text for text in texts if "pip install" in text]
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))]
    assert len(advice) == 1
    assert not [line for text in pages for line in text.splitlines() if re.search(r"pip install .*motion-prompt", line)]


TWINS = {
    ("mpt-cache", "info"): "--cache",
    ("mpt-report",): "--run",
    ("mpt-train",): "--cache",
    ("mpt-preprocess", "casme2"): "--root",
    ("mpt-preprocess", "check", "casme2"): "--root",
    ("mpt-predict", "clip.mp4"): "--run",
}


@pytest.mark.parametrize(("typed", "flag"), TWINS.items())
def test_a_path_is_an_argument_or_an_option_never_both(command: Command, typed: tuple[str, ...], flag: str) -> None:
    as_argument, as_option = command(*typed, "nowhere"), command(*typed, flag, "nowhere")
    assert as_argument == as_option and as_argument.code == 2 and "nowhere" in as_argument.err
    both = command(*typed, "nowhere", flag, "elsewhere")
    assert both.code == 2 and flag in both.err and "nowhere" in both.err and "elsewhere" in both.err


@pytest.mark.parametrize("program", ["mpt-train", "mpt-predict"])
def test_a_missing_path_names_the_option(command: Command, program: str) -> None:
    done = command(program, *(["clip.mp4"] if program == "mpt-predict" else []))
    assert done.code == 2 and ("--cache" in done.err or "--run" in done.err)


@pytest.mark.parametrize("arguments", [("--amp", "fp8"), ("--epochs", "0"), ("--epochs", "many"), ("--bogus",)])
def test_a_wrong_value_is_said_without_the_validator(command: Command, arguments: tuple[str, ...]) -> None:
    done = command("mpt-train", "a.h5", *arguments)
    assert done.code == 2 and arguments[0] in done.err and "Value error" not in done.err
