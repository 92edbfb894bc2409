"""What `--help` says: a first tier with the options that matter, everything by `--help-all`, both made to be read.

Typer's own help leaves 18 of 80 columns to the text of a command with many options, and imports rich for it, which
takes as long as everything else that `--help` does.
"""

import functools
import inspect
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from data_cache.errors import UsageError

MOST_SHOWN = 14
"""Options that the first tier may have; a command with more names those that matter."""
_NAMES = 26  # columns of the names of options; the text has the rest
_NARROWEST, _WIDEST = 60, 110
_KINDS = {str: "TEXT", Path: "PATH", int: "N", float: "X"}
_TWIN = "_option"
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
            raise

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
        self.settings: dict[str, Any] = {
            "cls": type("Command", (_Help, TyperCommand), {"first": first}),
            "context_settings": _NAMES_OF_HELP,
        }

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:
        """Register a function as `typer.Typer.command` does; its arguments may carry `Also`."""
        register = super().command(name, **self.settings, **settings)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_twins(function))
            return function

        return decorate

    def parser(self) -> Any:
        """The command as it is parsed; of a single one, Typer leaves out the application's own text."""
        if self.registered_callback is None and len(self.registered_commands) == 1:
            self.registered_commands[0].epilog = self.info.help
        return typer.main.get_command(self)


def _with_twins(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose arguments that carry `Also` may be given as options."""
    parameters: list[inspect.Parameter] = []
    twins: dict[str, tuple[str, str, bool]] = {}  # name → flag, metavar, whether it has to be given
    for each in inspect.signature(function).parameters.values():
        parameter = each.replace(kind=each.KEYWORD_ONLY)
        kind, info, *more = get_args(each.annotation) or (None, None)
        for also in (mark for mark in more if isinstance(mark, Also)):
            twins[each.name] = also.flag, info.metavar.strip(".[]"), each.default is each.empty
            option = typer.Option(also.flag, help=f"The same as {twins[each.name][1]}.", show_default=False)
            parameter = parameter.replace(default=None, annotation=Annotated[Optional[kind], info])  # noqa: UP045
            twin = Annotated[Optional[kind], option]  # type: ignore[valid-type]  # noqa: UP045
            parameters.append(parameter.replace(name=each.name + _TWIN, annotation=twin))
        parameters.append(parameter)

    @functools.wraps(function)
    def run(**values: Any) -> Any:
        for name, (flag, metavar, needed) in twins.items():
            argument, option = values[name], values.pop(name + _TWIN)
            if argument and option:
                raise UsageError(f"{metavar} is given as {argument} and as {flag} {option}; keep one of them")
            if needed and not (argument or option):
                raise UsageError(f"{metavar} is missing: name it as an argument or with {flag}; see --help")
            values[name] = argument or option or None
        return function(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run if twins else function


def options_of(command: Any, everything: bool = True) -> list[Any]:
    """The options of a parsed command that its `--help-all` lists, or its `--help`."""
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    if everything:
        return options
    short = [each for each in options if each.name not in _LATER and not each.name.endswith(_TWIN)]
    if len(short) < MOST_SHOWN:
        return short
    return [each for each in short if each.name in command.first] or short[: MOST_SHOWN - 1]


def name_of(parameter: Any, kinds: dict[str, Any]) -> str:
    """How an argument or option is written: `CACHE...`, `-o, --output PATH`, `--[no-]compile`."""
    if parameter.param_type_name == "argument":
        name = parameter.name.upper()
        return str(parameter.metavar or (name if parameter.required else f"[{name}]"))
    long, *_ = [flag for flag in parameter.opts if flag.startswith("--")]  # those after it are its old names
    if parameter.is_flag and parameter.secondary_opts:
        return f"--[no-]{long[2:]}"
    flags = ", ".join([*(flag for flag in parameter.opts if not flag.startswith("--")), long])
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
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if getattr(parameter, "is_flag", False):
        default = "on" if default in (True, "true") else None
    if parameter.required and parameter.param_type_name == "option":
        return f"{text} Required."
    return f"{text} Default: {default}." if parameter.show_default and default is not None else text


def _lines(command: Any, path: str, everything: bool) -> Iterator[str]:
    """The help of a command that is typed as `path`, line by line."""
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    kinds = get_type_hints(command.callback) if command.callback else {}
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
