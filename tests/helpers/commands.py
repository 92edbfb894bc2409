"""The commands of the project, the modules that they are in, and the types of the fixtures that run and make things."""

import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SCRIPTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
COMMANDS = {program: entry.removesuffix(":main") for program, entry in _SCRIPTS.items()}

Command = Callable[..., Any]
MakeCache = Callable[..., Path]
MakeRun = Callable[..., None]
Spawn = Callable[..., "subprocess.Popen[str]"]
WriteFrames = Callable[..., Path]
