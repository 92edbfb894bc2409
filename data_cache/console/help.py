"""What `--help` says: a first tier with the options that matter, everything by `--help-all`, both made to be read.

Typer's own help leaves 18 of 80 columns to the text of a command with many options, and imports rich for it, which
takes as long as everything else that `--help` does.
"""

import inspect
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from data_cache.errors import UsageError

MOST_SHOWN = 14
"""Options that the first tier may have; a command with more names those that matter."""
_NAMES = 26  # columns of the names of options; the text has the rest
_NARROWEST, _WIDEST = 60, 110
_KINDS = {str: "TEXT", Path: "PATH", int: "N", float: "X"}
_LATER = ("version", "install_completion", "show_completion")  # in the second tier of every command
_NAMES_OF_HELP = {"help_option_names": ["--help", "--help-all"]}


@dataclass(frozen=True)
class Also:
    """Metadata of an argument: it may be given as the option `flag` as well."""

    flag: str


class _Help:
    """Either tier, as `--help` or `--help-all` was typed; for commands and groups."""

    first: tuple[str, ...] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = args or ["--help"] * getattr(self, "no_args_is_help", False)
        ctx.meta["everything"] = "--help-all" in args
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # the validator's, not the user's
            if error.param and (flag := also_of(kinds_of(self).get(error.param.name))):
                error.message = error.message or f"Name it here, or with {flag}"
            raise

    def make_parser(self, ctx: Any) -> Any:
        """The parser, which takes `--cache FILE` for the argument CACHE as well."""
        parser = super().make_parser(ctx)  # type: ignore[misc]
        kinds, parse = kinds_of(self), parser.parse_args
        twins = [(each, flag) for each in ctx.command.params if (flag := also_of(kinds.get(each.name)))]
        for argument, flag in twins:
            parser.add_option(argument, [flag], dest=flag, action="append")

        def joined(args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
            values, rest, order = parse(args)
            for argument, flag in twins:
                if option := values.pop(flag, None):
                    option = option if argument.nargs == -1 else option[-1]
                    if typed := values[argument.name]:
                        what = argument.metavar.strip(".[]")
                        raise UsageError(f"{what} is given as {typed} and as {flag} {option}; keep one of them")
                    values[argument.name] = option
            return values, rest, order

        parser.parse_args = joined
        return parser

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n".join(_lines(self, ctx.command_path, ctx.meta.get("everything", False))) + "\n")


class Group(_Help, TyperGroup):
    """A command with subcommands."""

    def listed(self) -> list[tuple[str, str]]:
        """The names of its commands, and what each does."""
        return [(name, (each.help or "").partition("\n\n")[0]) for name, each in self.commands.items()]


class App(typer.Typer):
    """A Typer application in the house style.

    Args:
        about: what it does, and an example; shown by `--help`.
        first: parameters that the first tier shows, of commands that have `MOST_SHOWN` or more.
        group: the class of the command, if it has subcommands.
    """

    def __init__(self, about: str, first: tuple[str, ...] = (), group: type[Group] = Group) -> None:
        quiet: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": None}
        super().__init__(help=about, cls=group, context_settings=_NAMES_OF_HELP, no_args_is_help=True, **quiet)
        self.first = first

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:
        """Register a function as `typer.Typer.command` does; its arguments may carry `Also`."""
        kind = type("Command", (_Help, TyperCommand), {"first": self.first})
        return super().command(name, cls=kind, context_settings=_NAMES_OF_HELP, **settings)

    def parser(self) -> Any:
        """The command as it is parsed; of a single one, Typer leaves out the application's own text."""
        if self.registered_callback is None and len(self.registered_commands) == 1:
            self.registered_commands[0].epilog = self.info.help
        return typer.main.get_command(self)


def kinds_of(command: Any) -> dict[str, Any]:
    """The type of each parameter of a parsed command, with its marks."""
    return get_type_hints(command.callback, include_extras=True) if command.callback else {}


def also_of(kind: Any) -> str:
    """The option that an argument of this type may be given as; "" for none."""
    return next((mark.flag for mark in get_args(kind) if isinstance(mark, Also)), "")


def options_of(command: Any, everything: bool = True) -> list[Any]:
    """The options of a parsed command that its `--help-all` lists, or its `--help`."""
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    if everything:
        return options
    short = [each for each in options if each.name not in _LATER]
    if len(short) < MOST_SHOWN:
        return short
    return [each for each in short if each.name in command.first] or short[: MOST_SHOWN - 1]


def name_of(parameter: Any, kinds: dict[str, Any]) -> str:
    """How an argument or option is written: `CACHE...`, `-o, --output PATH`, `--[no-]compile`."""
    if parameter.param_type_name == "argument":
        name = parameter.name.upper()
        return str(parameter.metavar or (name if parameter.required else f"[{name}]"))
    if parameter.is_flag and parameter.secondary_opts:
        return f"--[no-]{parameter.opts[0][2:]}"
    flags = ", ".join(sorted(parameter.opts, key=len))
    return flags if parameter.is_flag else f"{flags} {parameter.metavar or _value(kinds[parameter.name])}"


def choices_of(kind: Any) -> tuple[Any, ...]:
    """The values that a type allows, where it lists them."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((found for each in get_args(kind) if (found := choices_of(each))), ())


def _value(kind: Any) -> str:
    """What an option takes: its choices, or the kind of value."""
    inner = [each for each in get_args(kind) if each is not type(None)]
    return "|".join(map(str, choices_of(kind))) or (_value(inner[0]) if inner else _KINDS[kind])


def text_of(parameter: Any, kinds: dict[str, Any]) -> str:
    """What the help says of a parameter: sentences, and the default where there is one."""
    words = (parameter.help or "").split()
    if words and words[0][-1] not in ",:" and words[0] not in map(str, choices_of(kinds.get(parameter.name))):
        words[0] = words[0][0].upper() + words[0][1:]
    text = " ".join(words)
    text = f"{text}." if text and text[-1] not in ".?" else text
    text += f" Also as {flag}." if (flag := also_of(kinds.get(parameter.name))) else ""
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if getattr(parameter, "is_flag", False):
        default = "on" if default in (True, "true") else None
    if parameter.required and parameter.param_type_name == "option":
        return f"{text} Required."
    return f"{text} Default: {default}." if parameter.show_default and default is not None else text


def _lines(command: Any, path: str, everything: bool) -> Iterator[str]:
    """The help of a command that is typed as `path`, line by line."""
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    kinds = kinds_of(command)
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    commands = command.listed() if isinstance(command, Group) else []
    every, options = options_of(command), options_of(command, everything)
    words = ["COMMAND"] if commands else [name_of(each, kinds) for each in arguments]
    panels = {"Arguments": [(name_of(each, kinds), text_of(each, kinds)) for each in arguments], "Commands": commands}
    for each in options:
        panel = (everything and each.rich_help_panel) or "Options"
        panels.setdefault(panel, []).append((name_of(each, kinds), text_of(each, kinds)))
    if len(options) < len(every):
        text = "Every option." if len(every) == 1 else f"All {len(every)} options."
        panels.setdefault("Options", []).append(("--help-all", text))
    yield " ".join(["Usage:", path, *words, "[options]"])
    yield from _paragraphs(command.help, width)
    for title, rows in panels.items():
        yield from _section(title, rows, width)
    yield from _paragraphs(command.epilog, width)


def _paragraphs(text: str | None, width: int) -> Iterator[str]:
    for paragraph in filter(None, inspect.cleandoc(text or "").split("\n\n")):
        whole = paragraph.startswith("Example:")  # to be copied in one piece
        yield ""
        yield from [paragraph] if whole else textwrap.wrap(paragraph, width, break_on_hyphens=False)


def _section(title: str, rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Names and their texts in two columns, below a title; a long name has a line of its own."""
    if rows:
        yield from ("", typer.style(title, bold=True))
    column = min(_NAMES, 4 + max((len(name) for name, _ in rows), default=0))
    for name, text in rows:
        lines = textwrap.wrap(text, width - column, break_on_hyphens=False) or [""]
        fits = len(name) + 4 <= column
        yield f"  {name:<{column - 2}}{lines.pop(0) if fits else ''}".rstrip()
        yield from (f"{'':{column}}{line}" for line in lines)
