"""An option stands in one place: a field of a settings record, from which all else follows."""

import inspect
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.config.arguments import arguments_of
from search.config.option import Options, flag_of, option, options_of
from search.config.settings import ExportOptions, RunOptions, SweepOptions, WorkerOptions
from search.config.study_settings import StudySettings
from search.errors import InputError

RECORDS = [RunOptions, SweepOptions, WorkerOptions, ExportOptions]


@dataclass(frozen=True, kw_only=True)
class Length(Options):
    epochs: int = option(12, "Full length.", low=1, high=100)
    pace: str = option("slow", "How fast.", choices=("slow", "fast"))
    backbones: tuple[str, ...] = option((), "Which.", flag="--backbone", repeatable=True)


def test_record_knows_what_was_given_and_what_is_a_default() -> None:
    given = Length.given(epochs=12, pace=None)
    assert (given.epochs, given.pace) == (12, "slow")
    assert given.requested == {"epochs"}
    assert Length().requested == frozenset()


def test_value_that_is_added_counts_as_given_and_is_checked() -> None:
    given = Length.given(epochs=3).also(pace="fast")
    assert (given.epochs, given.pace) == (3, "fast")
    assert given.requested == {"epochs", "pace"}
    with pytest.raises(InputError):
        given.also(epochs=101)


def test_name_that_is_given_by_position_counts_as_given() -> None:
    assert RunOptions.given("s", epochs=3).requested == {"study", "epochs"}


def test_name_that_is_none_is_refused_as_no_text() -> None:
    """It was a TypeError of a record that no caller knows."""
    with pytest.raises(InputError, match=r"^--study None: expected a text$"):
        RunOptions.given(None)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epochs": 0}, "--epochs 0: expected a number from 1 to 100"),
        ({"epochs": 101}, "--epochs 101: expected a number from 1 to 100"),
        ({"epochs": float("nan")}, "--epochs nan: expected a number from 1 to 100"),
        ({"pace": "idle"}, "--pace 'idle': expected one of slow, fast"),
    ],
)
def test_value_out_of_range_is_refused_by_its_flag(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        Length(**values)
    assert str(refused.value) == said


def test_default_outside_its_own_bounds_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match=r"^--folds 0: expected a number from 2 to 20$"):
        RunOptions.given("s", folds=0)
    assert RunOptions.given("s").folds == 0


def test_arrays_are_values_of_options_too() -> None:
    images = np.zeros((2, 8, 8), np.uint8)
    assert RunOptions.given("s", data=images).data is images


def test_option_of_another_record_is_no_flag_where_python_alone_takes_it() -> None:
    assert SweepOptions.given("s", resize="crop").resize == "crop"
    about = dict((field.name, about) for field, about in options_of(SweepOptions))["resize"]
    assert about.in_python_alone
    with pytest.raises(InputError, match=r"^--resize 'cut': expected one of stretch, fit, crop$"):
        SweepOptions.given("s", resize="cut")


def test_flag_is_the_name_with_dashes_unless_it_has_its_own() -> None:
    assert flag_of(RunOptions, "image_size") == "--image-size"
    assert flag_of(RunOptions, "flip") == "--flip"
    assert flag_of(Length, "backbones") == "--backbone"


def test_function_takes_the_fields_of_its_record() -> None:
    def train_as(options: Length) -> int:
        """Train.

        Args:
            options: Replaced.

        Returns:
            Epochs.
        """
        return options.epochs

    train = arguments_of("train", Length, train_as)
    assert (train(), train(epochs=3)) == (12, 3)
    signature = inspect.signature(train)
    assert list(signature.parameters) == ["epochs", "pace", "backbones"]
    assert signature.return_annotation is int
    assert inspect.getdoc(train) == (
        "Train.\n\nArgs:\n    epochs: Full length.\n    pace: How fast. One of slow, fast.\n    "
        "backbones (or backbone): Which.\n\nReturns:\n    Epochs."
    )
    for value in (3, None):
        with pytest.raises(TypeError, match=r"train\(\) got an unexpected keyword argument 'epoch'"):
            train(epoch=value)  # type: ignore[call-arg]


def test_flags_name_the_arguments_too() -> None:
    given = arguments_of("train", Length, lambda options: options)
    assert given(backbone="MobileNetV2").backbones == ("MobileNetV2",)  # type: ignore[call-arg]
    assert given(backbone=["a", "b"]).backbones == ["a", "b"]  # type: ignore[call-arg]
    assert given(backbones=("a",)).backbones == ("a",)
    assert "backbones (or backbone): Which." in str(given.__doc__)
    with pytest.raises(
        TypeError, match=r"train\(\) got both 'backbone' and 'backbones', which are one argument"
    ):
        given(backbone="a", backbones=("b",))  # type: ignore[call-arg]
    export = arguments_of("export", ExportOptions, lambda options: options)
    asked = export("s", studies="there", format="onnx,litert")  # type: ignore[call-arg]
    assert (asked.root, asked.formats) == (Path("there"), ("onnx", "litert"))


@pytest.mark.parametrize("record", RECORDS)
def test_help_of_every_option_is_whole_sentences(record: type[Options]) -> None:
    for field, about in options_of(record):
        assert about.help[0].isupper() or about.help[0] == "$", field.name
        assert about.help.rstrip(")").endswith("."), (
            field.name if "(default" not in about.help else about.help
        )


@pytest.mark.parametrize("record", RECORDS)
def test_default_of_every_option_is_within_its_own_bounds(record: type[Options]) -> None:
    for field, about in options_of(record):
        if isinstance(field.default, int | float) and not isinstance(field.default, bool) and field.default:
            assert about.low is None or about.low <= field.default <= (about.high or float("inf")), field.name


def test_one_name_means_one_thing_in_all_records() -> None:
    known: dict[str, Any] = {}
    for record in RECORDS:
        for field, about in options_of(record):
            # The folder that a sweep writes to is another than an export's.
            if field.name != "out":
                everywhere = replace(about, in_python_alone=False)
                assert known.setdefault(field.name, everywhere) == everywhere, field.name


def test_what_defines_a_study_is_among_the_options_of_a_search() -> None:
    names = {field.name for field, _ in options_of(RunOptions)}
    assert {field.name for field, _ in options_of(StudySettings)} <= names
