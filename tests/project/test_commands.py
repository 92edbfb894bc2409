"""What every command has: help that ends with an example, its version, completion for the shell."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, Command, every_command

from data_cache import __version__

ROOT, EVERY = Path(__file__).parents[2], every_command()


@pytest.mark.parametrize("typed", EVERY, ids=" ".join)
def test_help_shows_an_example_that_can_be_typed(command: Command, typed: tuple[str, ...]) -> None:
    done = command(*typed, "--help")
    assert done.code == 0
    lines = [line.strip() for line in done.out.splitlines() if line.strip().startswith("Example:")]
    assert len(lines) == 1
    words = shlex.split(lines[0].removeprefix("Example:").partition("→")[0])
    assert tuple(words[: len(typed)]) == typed
    context = EVERY[words[0],].make_context(words[0], words[1:])  # refuses unknown options and bad values
    if hasattr(context.command, "resolve_command"):
        name, subcommand, arguments = context.command.resolve_command(context, words[1:])
        subcommand.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("program", COMMANDS)
def test_every_command_tells_its_version(command: Command, program: str) -> None:
    done = command(program, "--version")
    assert (done.code, done.out) == (0, f"motion-prompt-tuning {__version__}\n")


@pytest.mark.parametrize("program", COMMANDS)
def test_the_shell_completes(command: Command, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """As bash asks; which shell it is, is seen in the parent process, alike for all programs."""
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    if program == "mpt":
        line = shlex.join([sys.executable, "-m", COMMANDS[program], "--show-completion"])
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(["bash", "-c", f"{line}; exit $?"], env=variables, capture_output=True, text=True)
        assert done.returncode == 0 and variable in done.stdout, done.stderr
    for name, value in {"COMP_WORDS": f"{program} --vers", "COMP_CWORD": "1", variable: "complete_bash"}.items():
        monkeypatch.setenv(name, value)
    assert command(program).out.split() == ["--version"]
