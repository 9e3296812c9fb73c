"""Settings records translated to the flags of commands; no option is defined here.

    @flags_of(RunOptions)
    def run(options: RunOptions) -> None: ...

gives a function with a parameter for each option, as Typer reads it; what was typed is parsed by its type and unit,
checked, and handed over as one record. Commands of a few flags of their own take single ones by ``flag_for``.
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from search.cli.parsing import (
    number,
    parse_compute,
    parse_cost,
    parse_duration,
    parse_vary,
    place,
    split_list,
    whole_number,
)
from search.cli.program import studies_here
from search.config.host_settings import PlaceSettings
from search.config.option import (
    FLOPS,
    FLOPS_AN_IMAGE,
    SECONDS,
    Option,
    Options,
    flag_of,
    option_of,
    options_of,
)
from search.config.request_settings import NameSettings

Record = TypeVar("Record", bound=Options)
# Defaults that say nothing to a person.
NO_DEFAULT: tuple[Any, ...] = (None, (), dataclasses.MISSING)
PARSERS: dict[str, Callable[[str, str], float]] = {
    SECONDS: parse_duration,
    FLOPS: parse_compute,
    FLOPS_AN_IMAGE: parse_cost,
}


_PARSERS: dict[Any, Callable[[str], Any]] = {int: whole_number, float: number, Path: place}
_METAVARS: dict[Any, str] = {int: "N", float: "NUMBER", Path: "PATH"}


def flags_of(record: type[Record]) -> Callable[[Callable[[Record], None]], Callable[..., None]]:
    """Make a function of one record a command with a flag for each of its options.

    Args:
        record: The class of the record.
    """

    def decorate(function: Callable[[Record], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**typed: Any) -> None:
            function(record_of(record, typed))

        parameters = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_left_out(field, about),
                annotation=_annotation(record, field.name),
            )
            for field, about in options_of(record)
            if not about.in_python_alone
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def record_of(record: type[Record], typed: Mapping[str, Any]) -> Record:
    """The record of what was typed, by option; None stands for what was not.

    Raises:
        InputError: A value cannot be parsed, or is out of its range.
    """
    made: Record = record.given(**{name: _parsed(record, name, value) for name, value in typed.items()})
    return made


def flag_for(record: type[Options], name: str) -> Any:
    """Typer's option for one option of a record."""
    (field, about), kind = option_of(record, name), _kind(record, name)
    files: dict[str, Any] = (
        {"exists": True, "dir_okay": False} if about.repeatable and _of_files(kind) else {}
    )
    return typer.Option(
        about.flag or flag_of(record, name),
        help=_help(field, about),
        metavar=about.metavar or ("WORD" if about.choices else _METAVARS.get(kind)),
        # Typer's own messages do not say what was given.
        parser=None if about.unit in PARSERS else _PARSERS.get(kind),
        autocompletion=_completion(name, about.choices),
        **files,
    )


def flag(*names: str, help: str, metavar: str | None = None) -> Any:
    """A flag that one command alone has: of text, or of yes and no."""
    return typer.Option(*names, help=help, metavar=metavar)


def whole(name: str, *, help: str, metavar: str = "N") -> Any:
    """A whole number that one command alone takes."""
    return typer.Option(name, help=help, metavar=metavar, parser=whole_number)


def _kind(record: type[Options], name: str) -> Any:
    """The type of an option's value, None aside; of several the first."""
    hint = typing.get_type_hints(record)[name]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return typing.get_args(hint)[0]
    return hint


def _annotation(record: type[Options], name: str) -> Any:
    (field, about), kind = option_of(record, name), _kind(record, name)
    value: Any = str
    if about.repeatable:
        value = list[Path] if _of_files(kind) else list[str]
    elif kind in (bool, int, float, Path) and about.unit not in PARSERS:
        value = kind
    left_out = _left_out(field, about)
    return Annotated[value if left_out is not None else value | None, flag_for(record, name)]


def _left_out(field: dataclasses.Field[Any], about: Option) -> Any:
    """What a command passes where nothing is typed: for a switch no, for a folder its place, else None."""
    if field.default is dataclasses.MISSING:
        return inspect.Parameter.empty
    is_switch = field.default is False and "/" not in about.flag
    return field.default if is_switch or isinstance(field.default, Path) else None


def _parsed(record: type[Options], name: str, typed: Any) -> Any:
    """The value of what was typed; None where nothing was."""
    (_, about), kind = option_of(record, name), _kind(record, name)
    untyped_switch = typed is False and "/" not in about.flag
    if typed is None or typed == [] or untyped_switch:
        return None
    if about.unit in PARSERS:
        return PARSERS[about.unit](flag_of(record, name), typed)
    if typing.get_origin(kind) is Mapping:
        return parse_vary(typed)
    if typing.get_origin(kind) is Sequence:
        return tuple(typed) if about.repeatable else tuple(split_list(typed))
    return typed


def _of_files(kind: Any) -> bool:
    """Whether an option takes several files."""
    return "Path" in str(typing.get_args(kind)[:1])


def _help(field: dataclasses.Field[Any], about: Option) -> str:
    words = f"{about.help} One of {', '.join(about.choices)}." if about.choices else about.help
    has_default = (
        "(default: " in words or isinstance(field.default, bool | Path) or field.default in NO_DEFAULT
    )
    return words if has_default else f"{words} (default: {field.default})"


def _completion(name: str, choices: tuple[str, ...]) -> Callable[[str], list[str]] | None:
    if name == "study":
        return studies_here
    if not choices:
        return None
    return lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]


Study = Annotated[str, flag_for(NameSettings, "study")]
Storage = Annotated[str | None, flag_for(PlaceSettings, "storage")]
Studies = Annotated[Path, flag_for(PlaceSettings, "root")]
# Of the commands that serve pages.
Port = Annotated[int, whole("--port", help="Where to listen; 0 for any that is free.")]
Host = Annotated[
    str, flag("--host", metavar="ADDRESS", help="On which address; any but this host's own wants a password.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="Ask for the password in its first line (any user name).",
        parser=place,
    ),
]
