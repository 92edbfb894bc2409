"""What `--help` says: a first tier with the options that matter, everything by `--help-all`, both made to be read.

Typer's own help leaves 18 of 80 columns to the text of a command with many options. This one is laid out in two columns
of plain text; it needs no rich, whose import would take half of the time that `--help` has.
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
_LATER = ("version", "install_completion", "show_completion")
_TWIN = "_option"


@dataclass(frozen=True)
class Also:
    """Metadata of an argument: it may be given as the option `flag` as well."""

    flag: str


class _Help:
    """Either tier, as `--help` or `--help-all` was typed; for commands and groups."""

    first: tuple[str, ...] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta["everything"] = "--help-all" in args
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # the validator's, not the user's
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n".join(_lines(self, ctx.command_path, ctx.meta.get("everything", False))) + "\n")


class _Command(_Help, TyperCommand):
    pass


class Group(_Help, TyperGroup):
    """A command with subcommands."""

    def listed(self) -> list[tuple[str, str]]:
        """The names of its commands, and what each does."""
        return [(name, (each.help or "").partition("\n\n")[0]) for name, each in self.commands.items()]


class App(typer.Typer):
    """A Typer application in the house style.

    Args:
        about: what it does, and an example; shown by `--help`.
        first: parameters that the first tier shows, for commands that have more than `MOST_SHOWN`.
    """

    def __init__(self, about: str, first: tuple[str, ...] = (), group: type[TyperGroup] = Group) -> None:
        settings = {"help_option_names": ["--help", "--help-all"]}
        super().__init__(
            help=about,
            cls=group,
            context_settings=settings,
            no_args_is_help=True,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )
        self.first = first

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:
        """Register a function as `typer.Typer.command` does; its arguments may carry `Also`."""
        names = {"help_option_names": ["--help", "--help-all"]}
        register = super().command(name, cls=type("_Command", (_Command,), {"first": self.first}),
                                   context_settings=names, **settings)  # fmt: skip

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_twins(function))
            return function

        return decorate

    def parser(self) -> Any:
        """The command as it is parsed; with a single one, Typer leaves out the application's own text."""
        if self.registered_callback is None and len(self.registered_commands) == 1:
            self.registered_commands[0].epilog = self.info.help
        return typer.main.get_command(self)


def _with_twins(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose arguments that carry `Also` may be given as options."""
    parameters, twins = [], {}
    for parameter in inspect.signature(function).parameters.values():
        found = [each for each in get_args(parameter.annotation)[1:] if isinstance(each, Also)]
        parameter = parameter.replace(kind=parameter.KEYWORD_ONLY)
        if found:
            kind, info, *_ = get_args(parameter.annotation)
            twin, flag, needed = f"{parameter.name}{_TWIN}", found[0].flag, parameter.default is parameter.empty
            twins[parameter.name] = (twin, flag, info.metavar, needed)
            other = typer.Option(
                flag, metavar=_value(kind), help=f"The same as {info.metavar.strip('.[]')}.", show_default=False
            )
            parameter = parameter.replace(default=None, annotation=Annotated[Optional[kind], info])  # noqa: UP045
            option = parameter.replace(name=twin, annotation=Annotated[Optional[kind], other])  # noqa: UP045
            parameters.append(option)
        parameters.append(parameter)
    if not twins:
        return function

    @functools.wraps(function)
    def run(**values: Any) -> Any:
        for name, (twin, flag, metavar, needed) in twins.items():
            option = values.pop(twin)
            if option and values[name]:
                both = f"as an argument ({_shown(values[name])}) and as {flag} ({_shown(option)})"
                raise UsageError(f"{metavar.strip('.[]')} is given {both}; keep one of them")
            if needed and not (option or values[name]):
                raise UsageError(f"{metavar.strip('.')} is missing: name it as an argument or with {flag}; see --help")
            values[name] = values[name] or option or None
        return function(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def options_of(command: Any, everything: bool = True) -> list[Any]:
    """The options of a parsed command that its `--help-all` lists, or its `--help`."""
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    if everything:
        return options
    short = [each for each in options if each.name not in _LATER and not each.name.endswith(_TWIN)]
    return short if len(short) < MOST_SHOWN else [each for each in short if each.name in command.first]


def name_of(parameter: Any, kinds: dict[str, Any]) -> str:
    """How an argument or option is written: `CACHE...`, `-o, --output PATH`, `--[no-]compile`."""
    if parameter.param_type_name == "argument":
        if parameter.metavar:
            return str(parameter.metavar)
        return parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"
    long, *_ = [flag for flag in parameter.opts if flag.startswith("--")]  # those after it are its old names
    flags = ", ".join([*(flag for flag in parameter.opts if not flag.startswith("--")), long])
    if parameter.is_flag:
        return f"--[no-]{long[2:]}" if parameter.secondary_opts else flags
    return f"{flags} {parameter.metavar or _value(kinds[parameter.name])}"


def choices_of(kind: Any) -> tuple[Any, ...]:
    """The values that a type allows, where it lists them."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((found for each in get_args(kind) if (found := choices_of(each))), ())


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


def _value(kind: Any) -> str:
    """What an option takes: its choices, or the kind of value."""
    chosen = choices_of(kind)
    inner = [each for each in get_args(kind) if each is not type(None)]
    return "|".join(map(str, chosen)) if chosen else _value(inner[0]) if inner else _KINDS[kind]


def _lines(command: Any, path: str, everything: bool) -> Iterator[str]:
    """The help of a command that is typed as `path`, line by line."""
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    kinds = get_type_hints(command.callback) if command.callback else {}
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    subcommands = command.listed() if isinstance(command, Group) else []
    every, options = options_of(command), options_of(command, everything)
    words = ["COMMAND"] if subcommands else [name_of(each, kinds) for each in arguments]
    yield from textwrap.wrap(" ".join(["Usage:", path, *words, "[options]"]), width, subsequent_indent="  ")
    yield from _paragraphs(command.help, width)
    yield from _section("Arguments", [(name_of(each, kinds), text_of(each, kinds)) for each in arguments], width)
    yield from _section("Commands", subcommands, width)
    panels: dict[str, list[tuple[str, str]]] = {}
    for each in options:
        panel = (everything and each.rich_help_panel) or "Options"
        panels.setdefault(panel, []).append((name_of(each, kinds), text_of(each, kinds)))
    if len(options) < len(every):
        panels.setdefault("Options", []).append(("--help-all", f"All {len(every)} options."))
    for panel, rows in panels.items():
        yield from _section(panel, rows, width)
    yield from _paragraphs(command.epilog, width)


def _paragraphs(text: str | None, width: int) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        if paragraph:
            yield ""
            typed = paragraph.startswith("Example:")  # to be copied in one piece
            yield from (
                [paragraph] if typed else textwrap.wrap(" ".join(paragraph.split()), width, break_on_hyphens=False)
            )


def _section(title: str, rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Names and their texts in two columns, below a title; a long name has a line of its own."""
    if not rows:
        return
    yield from ("", typer.style(title, bold=True))
    column = min(_NAMES, max(len(name) for name, _ in rows) + 4)
    for name, text in rows:
        lines = textwrap.wrap(text, width - column, break_on_hyphens=False) or [""]
        if len(name) + 4 <= column:
            yield f"  {name:<{column - 2}}{lines.pop(0)}".rstrip()
        else:
            yield f"  {name}"
        yield from (f"{'':{column}}{line}" for line in lines)
