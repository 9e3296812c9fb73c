"""Functions whose arguments are the options of a settings record, for notebooks and scripts."""

import functools
import inspect
import keyword
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from search.config.argument_words import Argument, speaking_of
from search.config.option import Option, Options, flag_of, options_of

Arguments = ParamSpec("Arguments")
Record = TypeVar("Record", bound=Options)
Result = TypeVar("Result")


def flags_in_python(record: type[Options]) -> dict[str, Argument]:
    """What each flag of a record is called where Python is spoken, by the flag without its dashes."""
    found: dict[str, Argument] = {}
    for field, about in options_of(record):
        flag, _, opposite = about.flag.partition("/")
        switch = True if isinstance(field.default, bool) else None
        found[(flag or flag_of(record, field.name))[2:]] = Argument(field.name, switch, about.choices)
        if opposite:
            found[opposite[2:]] = Argument(field.name, False)
    return found


def arguments_of(
    name: str, record: Callable[Arguments, Record], function: Callable[[Record], Result]
) -> Callable[Arguments, Result]:
    """The function of this name that takes the fields of a record as its own arguments.

    Its signature, for ``help()``, completion and mypy, is the record's; its docstring gains a line for each field.
    None stands for an argument that is left out.

    Args:
        name: Of the function that is made.
        record: The class of the record.
        function: Called with the record.
    """
    arguments = flags_in_python(record)  # type: ignore[arg-type]
    flags = named_as_flags(record)  # type: ignore[arg-type]

    @functools.wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        given = _by_field(name, flags, kwargs)
        try:  # Before those that are None are left out, unknown ones among them.
            inspect.signature(record).bind(*args, **given)
        except TypeError as error:
            raise TypeError(f"{name}() {error}") from None
        with speaking_of(arguments):
            return function(record.given(*args, **given))  # type: ignore[attr-defined]

    called.__name__ = called.__qualname__ = name
    returned = inspect.signature(function).return_annotation
    called.__signature__ = inspect.signature(record).replace(return_annotation=returned)  # type: ignore[attr-defined]
    called.__doc__ = _with_arguments(inspect.getdoc(function) or "", record)  # type: ignore[arg-type]
    return called


def named_as_flags(record: type[Options]) -> dict[str, tuple[str, Option]]:
    """Options whose flag has another name than their field, by the flag's: ``backbone`` is ``backbones``."""
    found = {}
    for field, about in options_of(record):
        word = flag_of(record, field.name)[2:].replace("-", "_")
        if word != field.name and word.isidentifier() and not keyword.iskeyword(word):
            found[word] = (field.name, about)
    return found


def _by_field(name: str, flags: Mapping[str, tuple[str, Option]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of their fields, whether they were given by these or by the flag's."""
    found = {word: value for word, value in given.items() if word not in flags}
    for word in given.keys() & flags.keys():
        field, about = flags[word]
        if field in given:
            raise TypeError(f"{name}() got both {word!r} and {field!r}, which are one argument")
        found[field] = _as_typed(given[word], about)
    return found


def _as_typed(value: Any, about: Option) -> Any:
    """A value given by a flag's name, which may be one where the option takes several: ``format="onnx,litert"``."""
    if about.repeatable and isinstance(value, str | Path):
        return (value,)
    return tuple(value.split(",")) if isinstance(value, str) and about.metavar == "LIST" else value


def _with_arguments(text: str, record: type[Options]) -> str:
    """A docstring whose arguments are a record's fields, in place of the ``Args`` that it has."""
    lines, others = [], {field: word for word, (field, _) in named_as_flags(record).items()}
    for field, about in options_of(record):
        other = f" (or {others[field.name]})" if field.name in others else ""
        words = f"{field.name}{other}: {about.help}" + (f" In {about.unit}." if about.unit else "")
        if about.choices:
            words += f" One of {', '.join(about.choices)}."
        lines += textwrap.wrap(words, 112, initial_indent="    ", subsequent_indent="        ")
    sections = text.split("\n\n")
    kept = [section for section in sections if not section.startswith("Args:")]
    heads = [place for place, section in enumerate(kept) if section.startswith(("Returns:", "Raises:"))]
    kept.insert(heads[0] if heads else len(kept), "Args:\n" + "\n".join(lines))
    return "\n\n".join(kept)
