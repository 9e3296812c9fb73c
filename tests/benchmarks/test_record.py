import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record import make_parser, once, peak_flops, print_table, write_result


def test_result_says_with_what_and_on_what_it_was_measured(tmp_path: Path) -> None:
    path = write_result("speed", {"images": 12}, tmp_path / "new")
    stored = json.loads(path.read_text())
    assert path == tmp_path / "new" / "speed.json"
    assert stored["images"] == 12
    assert stored["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert stored["versions"]["numpy"] == np.__version__
    assert stored["code"] == "" or len(stored["code"].removesuffix("-dirty")) >= 7


def test_result_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_result("speed", {"ratio": float("nan")}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_command_line_shows_the_header_as_it_is_written() -> None:
    assert "first line\n    second, indented" in make_parser("first line\n    second, indented").format_help()


def test_peak_is_more_than_a_product_of_matrices_on_all_cores_gets() -> None:
    peak, matrix = peak_flops(), np.ones((1024, 1024), "float32")
    began = time.monotonic()
    np.matmul(matrix, matrix)
    reached = 2 * 1024**3 / (time.monotonic() - began)
    assert 1e9 < reached < 1.2 * peak


def test_table_has_its_columns_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("net", "images/s"), [("three layers", 7), ("one", 12)])
    assert capsys.readouterr().out.splitlines() == [
        "net           images/s",
        "three layers         7",
        "one                 12",
    ]


def test_seconds_of_an_interrupted_call_count(tmp_path: Path) -> None:
    path = tmp_path / "made.json"
    path.with_suffix(".seconds").write_text("100")

    def fail() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(path, fail)
    found = once(path, lambda: {"accuracy": 0.5})
    assert 100 < found["seconds"] < 101
    assert once(path, lambda: pytest.fail("made again")) == found
