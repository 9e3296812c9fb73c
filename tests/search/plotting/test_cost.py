"""The drawings of accuracy beside cost."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.metrics.preference import Priced
from search.plotting.cost import AXES, Marks, axes_that_vary, draw_cost, write_costs

NETS = [Priced(n, 0.9 + 0.01 * n, 1e5 * (1 + n) ** 3, 1000 * (1 + n), 0.1 + n, 0.01) for n in range(5)]


def test_what_does_not_vary_or_was_not_measured_has_no_drawing() -> None:
    unmeasured = [replace(net, milliseconds=None, parameters=7) for net in NETS]
    assert [axis.name for axis in axes_that_vary(NETS)] == ["operations", "parameters", "milliseconds"]
    assert [axis.name for axis in axes_that_vary(unmeasured)] == ["operations"]
    assert axes_that_vary(NETS[:1]) == []


def test_drawing_marks_the_front_the_noise_the_default_and_the_exported() -> None:
    svg = draw_cost(NETS, AXES[0], Marks(default=0, exported=3), "accuracy", "in words")
    said = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert {"worth its cost", "± one standard error", "default", "exported"} <= set(said)
    assert "10 MFLOP" in said
    assert "94 %" in said
    assert 'aria-label="in words"' in svg


@pytest.mark.parametrize(
    ("marks", "of_operations", "of_time"),
    [(Marks(of="of the head"), ", of the head", ", of the head"), (Marks(view=", in one view"), ", in one view", "")],
)  # fmt: skip
def test_costs_of_heads_alone_or_of_one_view_say_so(marks: Marks, of_operations: str, of_time: str) -> None:
    operations, parameters, time = (draw_cost(NETS, axis, marks, "accuracy", "in words") for axis in AXES)
    assert f">operations an image{of_operations}<" in operations
    assert f">measured ms an image{of_time}<" in time
    assert ">parameters<" in parameters


def test_picture_has_a_panel_for_each_cost(tmp_path: Path) -> None:
    write_costs(tmp_path / "all.png", NETS, Marks(0), "accuracy", "$all$")
    write_costs(
        tmp_path / "one.png",
        [replace(net, flops=None, milliseconds=None) for net in NETS],
        Marks(),
        "loss",
        "",
    )
    wide, narrow = (Image.open(tmp_path / f"{name}.png").size for name in ("all", "one"))
    assert wide[0] > 2 * narrow[0]
    pixels = np.asarray(Image.open(tmp_path / "one.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == (0, 114, 178)).all(axis=1).sum() > 50, "the trials are not drawn"
