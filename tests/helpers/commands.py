"""The commands of the project, and the modules that they are in."""

import tomllib
from pathlib import Path

_SCRIPTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
COMMANDS = {program: entry.removesuffix(":main") for program, entry in _SCRIPTS.items()}
