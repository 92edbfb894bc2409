"""What every command answers: help that ends with an example, its version, completion for the shell."""

import importlib
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import COMMANDS

from data_cache import __version__

ROOT = Path(__file__).parents[2]


def parser(program: str) -> Any:
    """The command as it is parsed, which is Click's and knows its subcommands."""
    return typer.main.get_command(importlib.import_module(COMMANDS[program]).app)


def every_command() -> list[tuple[str, ...]]:
    """(program,) and (program, subcommand) of all that can be typed."""
    typed: list[tuple[str, ...]] = [(program,) for program in COMMANDS]
    for program in COMMANDS:
        typed += [(program, name) for name in getattr(parser(program), "commands", ())]
    return typed


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Start a command below a shell, as a terminal does."""

    def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        line = shlex.join([sys.executable, "-m", COMMANDS[program], *arguments])
        return subprocess.run(
            ["bash", "-c", f"{line}; exit $?"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
        )

    return run


def test_what_is_tested_is_what_is_installed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {program: f"{module}:main" for program, module in COMMANDS.items()}


@pytest.mark.parametrize("typed", every_command(), ids=" ".join)
def test_help_shows_an_example_that_can_be_typed(command: Callable[..., Any], typed: tuple[str, ...]) -> None:
    done = command(*typed, "--help")
    assert done.code == 0
    lines = [line.strip() for line in done.out.splitlines() if line.strip().startswith("Example:")]
    assert len(lines) == 1
    words = shlex.split(lines[0].removeprefix("Example:").partition("→")[0])
    assert tuple(words[: len(typed)]) == typed
    context = parser(words[0]).make_context(words[0], words[1:])  # refuses unknown options and bad values
    if hasattr(context.command, "resolve_command"):
        name, subcommand, arguments = context.command.resolve_command(context, words[1:])
        subcommand.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("program", COMMANDS)
def test_every_command_tells_its_version(command: Callable[..., Any], program: str) -> None:
    done = command(program, "--version")
    assert (done.code, done.out) == (0, f"motion-prompt-tuning {__version__}\n")


@pytest.mark.parametrize("program", COMMANDS)
def test_the_shell_completes(shell: Callable[..., subprocess.CompletedProcess[str]], program: str) -> None:
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    script = shell(program, "--show-completion")
    assert script.returncode == 0 and variable in script.stdout, script.stderr
    answer = shell(program, COMP_WORDS=f"{program} --vers", COMP_CWORD="1", **{variable: "complete_bash"})
    assert answer.stdout.split() == ["--version"], answer.stderr
