"""Command-line options made from a frozen dataclass, so that each setting has one default and one text.

A settings class declares `alpha: float = option(20.0, "...")`; `with_options(Recipe)` then gives a
command one `--alpha` whose help shows that default. Only what the user typed reaches the command:
presets and files can lie between the default and the command line.
"""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Optional, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

from data_cache.errors import UsageError
from data_cache.names import did_you_mean

Settings = TypeVar("Settings")


def option(
    default: Any,
    help: str,
    *,
    panel: str | None = None,
    flag: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    shown: str | None = None,
) -> Any:
    """A dataclass field that is also a command-line option.

    Args:
        help: what it does; for a choice that the paper leaves open, what the paper says and why this.
        panel: the heading under which `--help` lists it.
        flag: the option's names, as in "--jobs -j"; by default the field's, with dashes. "" hides it.
        shown: what `--help` says in place of the default, where that follows from something else.
    """
    metadata = {"help": help, "panel": panel, "flag": flag, "minimum": minimum, "maximum": maximum, "shown": shown}
    return dataclasses.field(default=default, metadata=metadata)


def check_options(settings: Any) -> None:
    """Check every field of a settings object against its type, choices and limits; a UsageError says what may be."""
    hints = get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value, hint = getattr(settings, field.name), hints[field.name]
        optional, kind = _unwrap(hint)
        if value is None and optional:
            continue
        if get_origin(kind) is Literal:
            if value not in get_args(kind):
                raise UsageError(f"{field.name} is {value!r}; choose one of {', '.join(map(str, get_args(kind)))}")
            continue
        number = kind in (int, float)
        accepted = (int, float) if kind is float else (kind,)
        if kind in (int, float, str, bool) and (not isinstance(value, accepted) or (number and value is True)):
            raise UsageError(f"{field.name} is {value!r}; expected a value of type {kind.__name__}")
        low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
        if number and ((low is not None and not value >= low) or (high is not None and not value <= high)):
            allowed = f"up to {high}" if low is None else f"{low} or more" if high is None else f"{low} to {high}"
            raise UsageError(f"{field.name} is {value}; allowed is {allowed}")


def from_mapping(settings_class: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """Make settings from stored values; a UsageError, which names their source `where`, for a bad name or value."""
    hints = get_type_hints(settings_class)
    known = [field.name for field in dataclasses.fields(settings_class)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise UsageError(f"{where}: unknown setting {name!r}{did_you_mean(name, known)}")
    try:
        return settings_class(**{name: _as_float(value, hints[name]) for name, value in values.items()})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def with_options(
    settings_class: type, *, into: str = "given", without: tuple[str, ...] = ()
) -> Callable[..., Callable[..., Any]]:
    """Decorate a command: it gets an option for each field of `settings_class`.

    The command's parameter `into` receives a dict with just those that were typed. `without`
    names fields that the command declares by itself.
    """
    hints = get_type_hints(settings_class)
    declared = (f for f in dataclasses.fields(settings_class) if f.metadata and f.metadata["flag"] != "")
    fields = [f for f in declared if f.name not in without]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command)
        own = [p.replace(kind=p.KEYWORD_ONLY) for p in signature.parameters.values() if p.name != into]
        added = [_parameter(field, hints[field.name]) for field in fields]

        @functools.wraps(command)
        def run(**values: Any) -> Any:
            typed = {field.name: values.pop(field.name) for field in fields}
            return command(**values, **{into: {name: value for name, value in typed.items() if value is not None}})

        run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*own, *added]}
        return run

    return decorate


def _as_float(value: Any, hint: Any) -> Any:
    """A whole number that stands for a float, as JSON written by hand has it: 20 and 20.0 must give one digest."""
    return float(value) if hint is float and type(value) is int and abs(value) < 2**53 else value


def _parameter(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    _, kind = _unwrap(hint)
    metadata = field.metadata
    value = field.default
    default = str(value).lower() if kind is bool else f"{value:g}" if isinstance(value, float) else str(value)
    typed = typer.Option(
        *(metadata["flag"] or "").split(),
        help=metadata["help"],
        rich_help_panel=metadata["panel"],
        show_default=metadata["shown"] or (value is not None and default),
        min=metadata["minimum"],
        max=metadata["maximum"],
    )
    annotation = Annotated[Optional[kind], typed]  # type: ignore[valid-type]  # noqa: UP045 - kind is a value here
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _unwrap(hint: Any) -> tuple[bool, Any]:
    """Split `X | None` into (True, X), anything else into (False, itself)."""
    if get_origin(hint) in (Union, types.UnionType):
        return True, next(kind for kind in get_args(hint) if kind is not type(None))
    return False, hint
