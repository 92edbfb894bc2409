"""The page of all commands and options, made from the commands themselves whenever the site is built.

mkdocs-typer2 and `typer utils docs` lose the panels, the choices, the repeatable options and text in angle brackets;
mkdocs-click does not know Typer's own command classes and prints no option at all.

Run it to read the page's Markdown:  python docs/hooks/command_page.py
"""

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

ROOT = Path(__file__).parents[2]
INTRODUCTION = """# Commands

Every command has `--help`, which says the same as this page, and `--version`. Results go to stdout, messages and
progress to stderr. `mpt-… --install-completion` teaches your shell to complete options. Exit codes are those of the
[exit codes](exit-codes.md).
"""
_KINDS = {str: "text", Path: "path", int: "integer", float: "number"}
_NOT_OURS = {"help", "install_completion", "show_completion"}


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the page to the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/commands.md", content=page()))
    return files


def page() -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION]
    for program, command in commands().items():
        parts += _sections(program, command, 2, {})
    return "\n".join(parts)


def commands() -> dict[str, Any]:
    """Name → command, as Typer parses it, of all that `pyproject.toml` declares."""
    from typer.main import get_command

    found = {}
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    for program, entry in scripts.items():
        app = importlib.import_module(entry.partition(":")[0]).app
        found[program] = get_command(app)
        if not hasattr(found[program], "commands"):  # of an app with one command Typer leaves out the app's own text
            found[program].epilog = app.info.help
    return found


def _sections(title: str, command: Any, level: int, printed: dict[str, str]) -> Iterator[str]:
    """Sections of a command and its subcommands; `printed` leads from a table to the section that has it already."""
    yield f"{'#' * level} {title}\n"
    yield from (f"{_plain(text)}\n" for text in (command.help, command.epilog) if text)
    subcommands = getattr(command, "commands", {})
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name not in _NOT_OURS]
    kinds = get_type_hints(command.callback)
    if not subcommands:
        yield f"```text\n{' '.join([title, *map(_name, arguments), '[options]'])}\n```\n"
    if arguments:
        yield _table("argument", [(f"`{_name(each)}`", _text(each)) for each in arguments])
    for panel in dict.fromkeys(each.rich_help_panel for each in options):
        rows = [(_flags(each, kinds[each.name]), _text(each)) for each in options if each.rich_help_panel == panel]
        table = _table(panel or "option", rows)
        first = printed.setdefault(table, title)
        repeated = f"{panel}: as for [{first}](#{first.replace(' ', '-')}).\n"
        yield table if panel is None or first == title else repeated
    for name in subcommands:
        yield from _sections(f"{title} {name}", subcommands[name], level + 1, printed)


def _name(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _flags(option: Any, kind: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    return flags if option.is_flag else f"{flags} {_cell(_value(kind))}"


def _value(kind: Any) -> str:
    """What an option takes, in words: its choices, or the kind of value."""
    inner = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) is Literal:
        return ", ".join(map(str, inner))
    if get_origin(kind) is list:
        return f"{_value(inner[0])}, repeatable"
    return _value(inner[0]) if inner else _KINDS[kind]


def _text(parameter: Any) -> str:
    text = _plain(parameter.help or "").rstrip(".")
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if getattr(parameter, "is_flag", False):
        default = "on" if default in (True, "true") else None
    if parameter.required and parameter.param_type_name == "option":
        text += ". Required"
    elif parameter.show_default and default is not None:
        text += f". Default: {default}"
    return _cell(f"{text}.") if text else ""


def _table(heading: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([f"| {heading} | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""])


def _plain(text: str) -> str:
    return re.sub(r"\[/?[a-z]+\]", "", text).strip()  # without rich's [bold] and [/bold]


def _cell(text: str) -> str:
    """Text as it is, inside a table: its special characters mean nothing."""
    escaped = re.sub(r"([|*_`\[\]$\\])", r"\\\1", " ".join(text.split()))
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(ROOT))
    print(page())
