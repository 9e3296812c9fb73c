"""What an option is: one field of a settings record, from which all else that concerns it follows.

A record is a frozen dataclass; a field made by ``option`` holds type, default, range or choices, unit and help of one
option. From it come the flag of a command and its help (``search.cli.options``), the argument of a function
(``search.config.arguments``), the check of its value, what is stored on a study, and the command that repeats it:

    @dataclass(frozen=True, kw_only=True)
    class Length(Options):
        epochs: int = option(12, "Full length of a trial.", low=1, high=10_000)

    train = arguments_of("train", Length, train_as)  # train(epochs=3), where train_as takes a Length
"""

import dataclasses
import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from search.config.value_types import of_type
from search.errors import InputError

# Units that a value of text is parsed by: a duration, an amount of compute, a cost of one image.
SECONDS, FLOPS, FLOPS_AN_IMAGE = "seconds", "FLOPs", "FLOPs an image"
OPTION = "option"


@dataclass(frozen=True)
class Option:
    """What is known of one option beside its name, type and default.

    Attributes:
        help: One line: what it is, what it does, when it differs.
        flag: Of the command line; by default ``--`` and the name. ``--flip/--no-flip`` for both answers.
        metavar: What stands for the value in a command's help.
        low: The smallest value that makes sense; None where there is no bound.
        high: The largest value that makes sense.
        choices: The words it may be; empty for any. One such as ``recall:CLASS`` stands for all that begin with what is
            before its colon.
        unit: Of the value; ``SECONDS``, ``FLOPS`` and ``FLOPS_AN_IMAGE`` may be typed as 2h, 1PFLOP and 170MFLOP.
        repeatable: Whether the flag may be given several times.
        in_python_alone: Whether it is an argument of a function and no flag: what it takes cannot be typed.
    """

    help: str
    flag: str = ""
    metavar: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    repeatable: bool = False
    in_python_alone: bool = False

    def check(self, flag: str, value: Any) -> None:
        """Refuse a value that is out of range, or none of the choices.

        Raises:
            InputError: It is.
        """
        if self.choices:
            check_choice(flag, value, self.choices)
        elif self.low is not None or self.high is not None:
            low, high = (
                (-math.inf if self.low is None else self.low),
                (math.inf if self.high is None else self.high),
            )
            check_number(flag, value, low, high)


def option(default: Any, help: str, **about: Any) -> Any:
    """A field of a settings record; ``about`` is further facts, see ``Option``."""
    return dataclasses.field(default=default, metadata=facts(help, **about))


def facts(help: str, **about: Any) -> dict[str, Option]:
    """The metadata of a field that is an option, for one that has no default."""
    return {OPTION: Option(help, **about)}


def in_python(record: "type[Options]", name: str) -> Any:
    """A field with an option of another record, as an argument of a function alone."""
    field, about = option_of(record, name)
    return dataclasses.field(
        default=field.default, metadata={OPTION: dataclasses.replace(about, in_python_alone=True)}
    )


def options_of(record: "type[Options] | Options") -> Iterator[tuple[dataclasses.Field[Any], Option]]:
    """Each option of a record, in order, with its field."""
    for field in dataclasses.fields(record):
        if OPTION in field.metadata:
            yield field, field.metadata[OPTION]


def option_of(record: "type[Options] | Options", name: str) -> tuple[dataclasses.Field[Any], Option]:
    """The option of this name, with its field."""
    for field, about in options_of(record):
        if field.name == name:
            return field, about
    raise KeyError(name)


def flag_of(record: "type[Options] | Options", name: str) -> str:
    """The flag of an option as messages name it: ``--image-size``, ``--flip``."""
    _, about = option_of(record, name)
    return about.flag.split("/")[0] or f"--{name.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """A settings record.

    Attributes:
        requested: The options that somebody gave a value for, see ``given``; all others have their default.
    """

    requested: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def given(cls, *args: Any, **values: Any) -> Any:
        """A record of these values, where None stands for an option that is left out.

        Raises:
            InputError: A value is out of its range, or of another type, or an option without a default is None.
        """
        positional = [field.name for field in dataclasses.fields(cls) if not field.kw_only]
        values = {**dict(zip(positional, args, strict=False)), **values}
        needed = {field.name for field, _ in options_of(cls) if field.default is dataclasses.MISSING}
        requested = {
            name: cls._of_type(name, value)
            for name, value in values.items()
            if value is not None or name in needed
        }
        made = cls(**requested)
        object.__setattr__(made, "requested", frozenset(requested))
        for field, about in options_of(cls):
            # Even a default that stands for "none", such as 0 folds, cannot be asked for.
            if field.name in requested:
                about.check(flag_of(cls, field.name), requested[field.name])
        return made

    def also(self, **values: Any) -> Any:
        """This record with further values, which then count as given.

        Raises:
            InputError: A value is out of its range.
        """
        made = dataclasses.replace(self, **values)
        object.__setattr__(made, "requested", self.requested | values.keys())
        return made

    @classmethod
    def _of_type(cls, name: str, value: Any) -> Any:
        """The value as its option's type; an unknown name is the record's to refuse."""
        about = dict((field.name, about) for field, about in options_of(cls)).get(name)
        if about is None:
            return value
        return of_type(flag_of(cls, name), value, typing.get_type_hints(cls)[name], about.unit)

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is out of its range; the message names it, what was expected and how to mend it.
        """
        for field, about in options_of(self):
            value = getattr(self, field.name)
            bounded = about.choices or about.low is not None or about.high is not None
            if bounded and value != field.default:
                about.check(flag_of(self, field.name), value)


def check_number(flag: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside ``low`` to ``high``, or one that is no number.

    Raises:
        InputError: It is.
    """
    if not low <= value <= high:
        bounds = f"from {low} to {high}" if high < math.inf else f"of at least {low}"
        raise InputError(f"{flag} {value}: expected a number {bounds}")


def check_choice(flag: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of ``choices``.

    Raises:
        InputError: It is none.
    """
    heads = [choice.partition(":")[0] + ":" for choice in choices if ":" in choice]
    if value not in choices and not any(
        value.startswith(head) and len(value) > len(head) for head in heads if isinstance(value, str)
    ):
        raise InputError(f"{flag} {value!r}: expected one of {', '.join(choices)}")
