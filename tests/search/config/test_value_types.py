"""What Python hands over is checked by the type of its option."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.config.value_types import as_image_size, as_path, of_type
from search.errors import InputError


@pytest.mark.parametrize(
    ("value", "hint", "made"),
    [
        (np.int64(3), int, 3),
        (1e6, int | None, 1_000_000),
        (3, float, 3.0),
        ("out", Path | None, Path("out")),
        (("a",), Sequence[str], ("a",)),
        ("cifar10", str | Path | Sequence[Any], "cifar10"),
        ({}, Any, {}),
    ],
)
def test_value_of_its_type_is_taken(value: object, hint: Any, made: object) -> None:
    found = of_type("--x", value, hint)
    assert (found, type(found)) == (made, type(made))


@pytest.mark.parametrize(
    ("value", "hint", "said"),
    [
        ("3", int, "--x '3': expected a whole number of pixels"),
        (2.5, int | None, "--x 2.5: expected a whole number of pixels"),
        (True, int, "--x True: expected a whole number of pixels"),
        ("2h", float, "--x '2h': expected a number of pixels"),
        ("yes", bool, "--x 'yes': expected True or False"),
        ("onnx", Sequence[str], "--x 'onnx': expected a list"),
        ([1], Mapping[str, Any] | None, "--x [1]: expected a dict"),
        (7, str, "--x 7: expected a text"),
        (7, Path, "--x 7: expected a path"),
    ],
)
def test_value_of_another_type_is_refused(value: object, hint: Any, said: str) -> None:
    with pytest.raises(InputError) as refused:
        of_type("--x", value, hint, "pixels")
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (64, 64),
        ("64", 64),
        ("32x64", "32x64"),
        ((32, 64), "32x64"),
        ([8, 8], 8),
        ("16x16", 16),
        (np.int64(5), 5),
    ],
)
def test_image_size_is_stored_in_one_form(value: object, stored: object) -> None:
    found = as_image_size("--image-size", value)
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize(
    "value", [3, 2049, "3x64", "64x", "64by32", "x", (32,), (32, 64, 3), True, None, "-4", 2**70]
)
def test_image_size_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(
        InputError, match=r"--image-size .*: expected a number from 4 to 2048, or two such as 32x64"
    ):
        as_image_size("--image-size", value)


def test_image_size_of_half_pixels_is_refused() -> None:
    with pytest.raises(InputError, match=r"--image-size 32\.5: expected whole numbers of pixels"):
        as_image_size("--image-size", 32.5)


def test_path_begins_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert of_type("--x", "~/out", Path) == as_path("--x", Path("~/out")) == Path("/home/me/out")


def test_path_in_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^--x ~nobodyx/out: ~nobodyx is the home of no user of this host; give"
    ):
        as_path("--x", "~nobodyx/out")


def test_path_that_is_called_as_a_home_is_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = as_path("--x", "./~nobodyx/out")
    assert found == as_path("--x", found) == tmp_path / "~nobodyx" / "out"


def test_empty_text_is_no_path() -> None:
    with pytest.raises(
        InputError, match=r"^--x: an empty text is no path; leave the flag out for its default$"
    ):
        of_type("--x", "", Path | None)
