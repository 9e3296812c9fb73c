"""A whole search, with TensorFlow, as people start it: from the images to the files of the export.

A dashboard is open beside it before there is anything to see.
"""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_running_study_fills_the_page_to_its_export_and_a_stop_ends_the_dashboard(
    commands, tmp_path: Path, browser: Any, until
) -> None:
    said = ("--study", "live", "--studies", tmp_path / "studies")
    search = commands.start(
        "search.run", *said, "--data", "digits", "--cache", tmp_path / "cache", "--trials", 2, "--epochs", 2,
        "--images", 200, "--space", "small_space", "--pruner", "none", SEARCH_TEST_TRAINING="",
    )  # fmt: skip
    until(lambda: (tmp_path / "studies" / "live" / "pictures").is_dir(), 120)
    dashboard = commands.start("search.dashboard", *said, "--port", 0)
    address = dashboard.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/dashboard/studies/1/note", address)
    study = address.removesuffix("/note")
    page = browser.new_page()
    page.set_default_timeout(120_000)  # The machine may be busy with other tests' trainings.
    page.goto(f"{study}/trials?numbers=1")
    assert search.wait(180) == 0
    page.reload()
    page.get_by_text("Trial 1: finished").wait_for()
    page.goto(address)
    page.get_by_role("heading", name="The export").wait_for()
    summary = json.loads((tmp_path / "exports" / "live" / "summary.json").read_text())
    assert f"{summary['test_accuracy']:.4f}"[:5] in page.inner_text("body")
    assert (tmp_path / "exports" / "live" / "model.keras").is_file()
    dashboard.send_signal(signal.SIGINT)
    assert dashboard.wait(30) == 130
    assert "Traceback" not in dashboard.stdout.read()
    page.close()
