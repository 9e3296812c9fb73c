"""What is predicted, as programs read it."""

import csv
import io
import json

import pytest

from search.prediction.output import Prediction, Shown, show_csv, show_json

SHOWN = Shown(("ants", "bees"))
NOT_UTF_8 = Prediction("caf\udcff.png", "ants", 0.9)


def test_json_escapes_a_file_name_that_is_not_utf_8(capsys: pytest.CaptureFixture[str]) -> None:
    show_json([NOT_UTF_8], SHOWN)
    (row,) = json.loads(capsys.readouterr().out.encode())
    assert row["image"] == r"caf\xff.png"


def test_csv_escapes_a_file_name_that_is_not_utf_8(capsys: pytest.CaptureFixture[str]) -> None:
    show_csv([NOT_UTF_8], SHOWN)
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["image"].encode() == rb"caf\xff.png"


def test_csv_keeps_a_name_with_a_carriage_return_in_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    show_csv([Prediction("a\rb.png", "ants", 0.9), Prediction("c.png", "bees", 0.8)], SHOWN)
    out = capsys.readouterr().out
    assert [row["image"] for row in csv.DictReader(io.StringIO(out, newline=""))] == ["a\rb.png", "c.png"]
    assert "\r\n" not in out
