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
from typing import Any, get_args, get_origin

from data_cache.console.help import choices_of, kinds_of, name_of, text_of

ROOT = Path(__file__).parents[2]
INTRODUCTION = """# Commands

Every command has `--help`, which shows the options that matter most, `--help-all`, which says the same as this page,
and `--version`. Results go to stdout, messages and progress to stderr. `mpt-… --install-completion` teaches
your shell to complete options. Exit codes: see
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
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    modules = {program: entry.partition(":")[0] for program, entry in scripts.items()}
    return {program: importlib.import_module(module).app.parser() for program, module in modules.items()}


def _sections(title: str, command: Any, level: int, printed: dict[str, str]) -> Iterator[str]:
    """Sections of a command and its subcommands; `printed` leads from a table to the section that has it already."""
    yield f"{'#' * level} {title}\n"
    yield from (f"{text.strip()}\n" for text in (command.help, command.epilog) if text)
    subcommands = getattr(command, "commands", {})
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name not in _NOT_OURS]
    kinds = kinds_of(command)
    if not subcommands:
        yield f"```text\n{' '.join([title, *(name_of(each, kinds) for each in arguments), '[options]'])}\n```\n"
    if arguments:
        rows = [(f"`{name_of(each, kinds)}`", cell(text_of(each, kinds))) for each in arguments]
        yield _table("argument", rows)
    for panel in dict.fromkeys(each.rich_help_panel for each in options):
        chosen = [each for each in options if each.rich_help_panel == panel]
        rows = [(_flags(each, kinds[each.name]), cell(text_of(each, kinds))) for each in chosen]
        table = _table(panel or "option", rows)
        first = printed.setdefault(table, title)
        repeated = f"{panel}: as for [{first}](#{first.replace(' ', '-')}).\n"
        yield table if panel is None or first == title else repeated
    for name in subcommands:
        yield from _sections(f"{title} {name}", subcommands[name], level + 1, printed)


def _flags(option: Any, kind: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    return flags if option.is_flag else f"{flags} {cell(value(kind))}"


def value(kind: Any) -> str:
    """What an option takes, in words: its choices, or the kind of value."""
    if choices := choices_of(kind):
        return ", ".join(map(str, choices))
    inner = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) is list:
        return f"{value(inner[0])}, repeatable"
    return value(inner[0]) if inner else _KINDS[kind]


def _table(heading: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([f"| {heading} | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""])


def cell(text: str) -> str:
    """Text as it is, inside a table: its special characters mean nothing."""
    escaped = re.sub(r"([|*_`\[\]$\\])", r"\\\1", " ".join(text.split()))
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    print(page())
