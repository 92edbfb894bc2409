"""The commands of the project, the modules that they are in, and the types of the fixtures that run and make things."""

import importlib
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SCRIPTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
COMMANDS = {program: entry.removesuffix(":main") for program, entry in _SCRIPTS.items()}


def every_command() -> dict[tuple[str, ...], Any]:
    """What can be typed, (program,) or (program, subcommand) → the command as it is parsed."""
    found: dict[tuple[str, ...], Any] = {}
    for program, module in COMMANDS.items():
        parsed = importlib.import_module(module).app.parser()
        found[program,] = parsed
        found |= {(program, name): each for name, each in getattr(parsed, "commands", {}).items()}
    return found


Command = Callable[..., Any]
MakeCache = Callable[..., Path]
MakeRun = Callable[..., None]
Spawn = Callable[..., "subprocess.Popen[str]"]
WriteFrames = Callable[..., Path]
