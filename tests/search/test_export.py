"""An export of a small real study: every file, and that they agree with each other."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from search.config.settings import RunOptions
from search.errors import InputError, StudyStopped
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.exporting.export import Export
from search.exporting.folder import FILES
from search.metrics.classification import log_probabilities
from search.process.fork_server import ForkServer
from search.study.opening import open_study
from search.study.study import LoadedStudy
from search.workflows.export import export_study
from storage.claims import Claims
from storage.ledger import times_scored

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scored_before(searched: LoadedStudy, made: Export) -> int:
    """How often the test images had been scored before ``refitted`` was made."""
    return times_scored(searched.optuna)


@pytest.fixture(scope="module")
def refitted(scored_before: int, export, tmp_path_factory: pytest.TempPathFactory) -> Export:
    out = tmp_path_factory.mktemp("refits") / "tiny"
    return export(out, refit=True, refit_epochs=3, calibrated=True)


@pytest.fixture
def sealed_images(searched: LoadedStudy) -> Iterator[Path]:
    """The file of the prepared test images, which a test may damage."""
    file = searched.dataset().folder / "sealed/images.npy"
    content = file.read_bytes()
    yield file
    file.write_bytes(content)


def summary(made: Export) -> dict[str, object]:
    found: dict[str, object] = json.loads((made.folder / "summary.json").read_text())
    return found


def predictions(made: Export) -> list[dict[str, str]]:
    with (made.folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_export_holds_every_file_and_no_other(made: Export) -> None:
    found = {path.name for path in made.folder.iterdir()} - {"architecture.png"}
    assert found == {*FILES, "cost.png"}


def test_export_leaves_nothing_beside_itself(made: Export) -> None:
    assert list(made.folder.parent.iterdir()) == [made.folder]


def test_accuracy_is_the_same_in_every_file(made: Export) -> None:
    accuracy = summary(made)["test_accuracy"]
    rows = predictions(made)
    with (made.folder / "confusion_matrix.csv").open(newline="") as file:
        matrix = np.array([row[1:] for row in list(csv.reader(file))[1:]], dtype=int)
    report = json.loads((made.folder / "classification_report.json").read_text())

    assert matrix.trace() / matrix.sum() == pytest.approx(accuracy, abs=1e-12)
    assert np.mean([row["true"] == row["predicted"] for row in rows]) == pytest.approx(accuracy, abs=1e-12)
    assert report["accuracy"] == pytest.approx(accuracy, abs=1e-12)
    assert report["macro avg"]["f1-score"] == pytest.approx(summary(made)["macro_f1"], abs=1e-12)
    assert (matrix == made.confusion_matrix).all()


def test_predictions_have_every_test_image_once(made: Export) -> None:
    rows = predictions(made)

    assert [int(row["image"]) for row in rows] == list(range(len(rows)))
    assert len(rows) == summary(made)["test_images"] == made.confusion_matrix.sum()


def members(model: Path) -> dict[str, bytes]:
    """Weights and configuration; the export's metadata have the names of the classes, too."""
    with zipfile.ZipFile(model) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "metadata.json"}


def test_default_weights_are_the_ones_that_scored(made: Export, searched: LoadedStudy) -> None:
    best = searched.ranked()[0]

    assert members(made.folder / "model.keras") == members(searched.paths.models(best.number)[0])
    assert summary(made)["trial"] == best.number
    assert summary(made)["validation_accuracy"] == pytest.approx(best.value, abs=0.002)


def test_summary_has_the_facts_of_the_trial(made: Export, searched: LoadedStudy) -> None:
    found, best = summary(made), searched.ranked()[0]

    assert found["params"] == best.user_attrs["params"]
    assert (found["train_images"], found["epochs"], found["refit"]) == (300, 2, False)
    assert found["data_fingerprint"] == searched.config.fingerprint
    for name in ("flops", "parameters", "seed", "versions", "backend", "threads"):
        assert found[name] == best.user_attrs[name], name
    assert "validation_note" not in found


def test_summary_names_no_path_of_the_machine(made: Export, searched: LoadedStudy) -> None:
    text = (made.folder / "summary.json").read_text() + (made.folder / "preprocessing.json").read_text()

    assert str(searched.paths.root.parent) not in text
    assert "tmp" not in text


def test_pictures_can_be_opened(made: Export) -> None:
    for name in ("confusion_matrix.png", "curves.png", "samples.png", "mistakes.png"):
        with Image.open(made.folder / name) as picture:
            picture.load()
            assert min(picture.size) > 250


def test_export_hands_back_what_a_notebook_shows(made: Export) -> None:
    assert made.labels == [str(digit) for digit in range(10)]
    assert made.report == (made.folder / "classification_report.txt").read_text()
    assert made.summary == summary(made)


def test_refit_trains_on_all_training_images(refitted: Export, searched: LoadedStudy) -> None:
    found = summary(refitted)

    assert found["refit"] is True
    assert found["train_images"] == sum(searched.dataset().train_counts)
    assert found["epochs"] == found["kept_epoch"] == 3


def test_refit_reports_the_search_trials_validation_and_says_so(
    refitted: Export, searched: LoadedStudy
) -> None:
    found, best = summary(refitted), searched.ranked()[0]

    assert found["validation_accuracy"] == best.value
    assert "search trial's" in str(found["validation_note"])


def test_summary_says_in_words_what_the_figures_say(made: Export) -> None:
    found: dict[str, Any] = made.summary
    low, high = found["test_accuracy_interval"]

    assert low < found["test_accuracy"] < high
    assert f"{100 * low:.1f} to {100 * high:.1f}" in found["words"][0]
    assert found["fit"]["training_images"] == 300
    assert found["fit"]["validation_accuracy"] == pytest.approx(found["validation_accuracy"])
    assert found["fit"]["verdict"] in found["words"][1].lower()
    assert 0 <= found["calibration"]["test_ece_after"] <= 1


def test_screen_has_the_headline_and_where_the_rest_is(made: Export, said_by_made: list[str]) -> None:
    headline = made.summary["headline"]
    assert said_by_made[-len(headline) - 1 : -1] == headline
    assert headline == [one for one in made.summary["words"] if one in headline]
    assert headline[0] == made.summary["words"][0]
    assert made.summary["words"][1] not in headline
    assert said_by_made[-1].startswith(f"how far to trust trial {made.summary['trial']}, and why, is in")


def test_refit_is_calibrated_by_the_trial_that_has_not_seen_the_validation_images(
    refitted: Export, made: Export
) -> None:
    found = refitted.summary["calibration"]
    assert found.get("baked_temperature", 1.0) == made.summary["calibration"]["temperature"]
    assert found["temperature"] == 1.0, "it is in the file, and nobody is to apply it again"
    assert refitted.summary["fit"] == made.summary["fit"]


def test_outputs_of_a_calibrated_export_are_its_confidences(refitted: Export, searched: LoadedStudy) -> None:
    images, _ = searched.dataset().test()
    found = np.exp(log_probabilities(refitted.model().predict(images, verbose=0)))
    said = [float(row["confidence"]) for row in predictions(refitted)]
    np.testing.assert_allclose(found.max(axis=1), said, atol=1e-4)


def test_refit_needs_no_kept_weights(searched: LoadedStudy, export, tmp_path: Path) -> None:
    kept = searched.paths.models(searched.ranked()[1].number)[0]
    weights = kept.read_bytes()
    kept.unlink()
    try:
        number = searched.ranked()[1].number
        with pytest.raises(InputError, match="pass refit=True"):
            export(tmp_path / "out", trial=number)
        assert list(tmp_path.iterdir()) == []
        made = export(tmp_path / "out", trial=number, refit=True, refit_epochs=1)
    finally:
        kept.write_bytes(weights)

    assert summary(made)["trial"] == number
    assert "no weights of its kind that were not are kept" in made.summary["words"][2]
    assert made.summary["calibration"]["temperature"] == 1


def test_every_scoring_is_counted(refitted: Export, scored_before: int, searched: LoadedStudy) -> None:
    times, ledger = scored_before + 1, searched.optuna.user_attrs["test_ledger"]

    assert refitted.summary["times_test_scored"] == times <= times_scored(searched.optuna)
    assert (ledger[scored_before]["why"], ledger[scored_before]["trial"]) == (
        "refit",
        searched.ranked()[0].number,
    )
    for report in (refitted.report, "\n".join(refitted.summary["words"])):
        assert f"have been scored {times} times (this one included)" in report


def test_scoring_is_counted_before_the_test_images_are_looked_at(
    searched: LoadedStudy, export, sealed_images: Path, tmp_path: Path
) -> None:
    before = times_scored(searched.optuna)
    np.save(sealed_images, np.load(sealed_images).astype(str))  # The net cannot take them.

    with pytest.raises(StudyStopped):
        export(tmp_path / "out")

    assert times_scored(searched.optuna) == before + 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [None, 0.5])
def test_test_images_that_are_gone_or_cut_short_count_as_no_scoring(
    searched: LoadedStudy, export, sealed_images: Path, tmp_path: Path, left: float | None
) -> None:
    before, content = times_scored(searched.optuna), sealed_images.read_bytes()
    sealed_images.unlink()
    if left is not None:
        sealed_images.write_bytes(content[: int(left * len(content))])

    with pytest.raises(StudyStopped, match=r"the prepared test images in .* cannot be opened"):
        export(tmp_path / "out")

    assert times_scored(searched.optuna) == before
    assert list(tmp_path.iterdir()) == []


def test_file_that_answers_otherwise_elsewhere_looks_at_no_test_image(
    searched: LoadedStudy, fork_server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object) -> None:
        raise StudyStopped("the exported file, loaded in a fresh process, fails")

    monkeypatch.setattr("search.exporting.builder.verify_in_fresh_process", differ)
    before = times_scored(searched.optuna)
    with pytest.raises(StudyStopped, match="the exported file"):
        export_study("tiny", root=searched.paths.root, out=tmp_path / "out", server=fork_server)

    assert times_scored(searched.optuna) == before
    assert list(tmp_path.iterdir()) == []


def negate_weights(model: Path) -> None:
    """Turn the sign of all kernels of a Keras file."""
    with zipfile.ZipFile(model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def negate(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim > 1:
            item[()] = -item[()]

    inside = io.BytesIO(members["model.weights.h5"])
    with h5py.File(inside, "r+") as file:
        file.visititems(negate)
    members["model.weights.h5"] = inside.getvalue()
    with zipfile.ZipFile(model, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_failed_export_leaves_the_earlier_one(
    made: Export, searched: LoadedStudy, export, tmp_path: Path
) -> None:
    out = shutil.copytree(made.folder, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    kept = searched.paths.models(searched.ranked()[0].number)[0]
    weights, scorings = kept.read_bytes(), times_scored(searched.optuna)
    negate_weights(kept)  # so that it is not of the weights that scored
    try:
        with pytest.raises(StudyStopped, match="where the trial recorded"):
            export(out)
    finally:
        kept.write_bytes(weights)

    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]
    assert times_scored(searched.optuna) == scorings  # No test image was looked at.


def test_study_without_a_finished_trial_is_refused(searched: LoadedStudy, tmp_path: Path) -> None:
    from dataclasses import replace

    from search.study.finding import create_study

    (tmp_path / "studies").mkdir()
    create_study(
        replace(searched.config, study="empty"), searched.dataset().folder, None, tmp_path / "studies"
    )

    with pytest.raises(InputError, match="no trial has finished yet"):
        export_study("empty", root=tmp_path / "studies", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The exporting process, with a server that is warm already and knows no graphviz; the checks load Keras elsewhere.
EXPORT = """
import socket, sys
from pathlib import Path
from search.process.fork_server import ForkServer
from search.exporting import builder
from search.workflows.export import export_study

class Server(ForkServer):
    def start(self, *arguments):
        return super().start(*arguments, environment={"PATH": ""})

builder.verify_in_fresh_process = lambda *arguments: None
server = Server(line=socket.socket(fileno=int(sys.argv[1])))
export_study("tiny", root=Path(sys.argv[2]), out=Path("made"), server=server)
print("HEAVY", *sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


def test_exporting_process_loads_no_framework(
    searched: LoadedStudy, fork_server: ForkServer, tmp_path: Path
) -> None:
    with fork_server.share() as line:
        ended = subprocess.run(
            [sys.executable, "-c", EXPORT, str(line.fileno()), str(searched.paths.root)],
            pass_fds=[line.fileno()],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=240,
        )

    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^HEAVY$", ended.stdout, re.MULTILINE), ended.stdout
    assert (tmp_path / "made" / "model.keras").is_file()
    assert "graphviz" not in ended.stdout
    assert not (tmp_path / "made" / "architecture.png").exists()


@pytest.fixture(scope="module")
def in_folds(fork_server: ForkServer, warm_checks, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The only trial of a study of two folds of 200 digits, exported without a word of a refit."""
    place = tmp_path_factory.mktemp("folds")
    images, labels = load_digits(return_X_y=True)
    pixels = (images.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    data = (pixels[:200], labels[:200], pixels[200:260], labels[200:260])
    said: dict[str, Any] = {"space": "small_space", "flip": False, "root": place / "studies"}
    study = open_study(
        RunOptions.given("folded", data=data, folds=2, trials=1, epochs=2, cache=place / "cache", **said)
    )
    work(Worker(study, fork_server, Claims(study.storage, study.study_id, "w"), Stop(), threads=1), lambda: 1)
    with warm_checks():
        return export_study(
            "folded",
            root=place / "studies",
            out=place / "out",
            server=fork_server,
            prepared=study.prepared,
            say=lambda line: None,
        )


def test_export_of_a_study_in_folds_is_a_refit_on_all_training_images(in_folds: Export) -> None:
    found = summary(in_folds)

    assert (found["refit"], found["train_images"], found["validation_images"]) == (True, 200, 200)
    assert found["kept_epoch"] == 2


def test_export_of_a_study_in_folds_tells_their_mean_and_spread(in_folds: Export) -> None:
    found: dict[str, Any] = in_folds.summary
    one, two = found["fold_values"]

    assert found["value"] == found["fold_mean"] == found["validation_accuracy"] == (one + two) / 2
    assert found["fold_standard_deviation"] == pytest.approx(abs(one - two) / 2**0.5)
    assert f"({100 * one:.1f} %, {100 * two:.1f} %; standard deviation" in " ".join(found["words"])


def test_export_of_a_study_in_folds_claims_nothing_of_images_that_it_was_trained_on(in_folds: Export) -> None:
    found: dict[str, Any] = in_folds.summary

    assert found["fit"]["validation_accuracy"] == found["fold_mean"]
    assert (found["fit"]["training_images"], found["fit"]["validation_images"]) == (100, 200)


def test_export_of_a_study_in_folds_has_what_these_predicted(in_folds: Export) -> None:
    found: dict[str, Any] = in_folds.summary
    told, calibration = found["out_of_fold"], found["calibration"]

    assert told["accuracy"] == pytest.approx(found["fold_mean"], abs=1e-6)
    assert (told["images"], told["trials_compared"], told["decided"]) == (200, 1, None)
    assert np.sum(told["confusion_matrix"]) == 200
    assert calibration["fitted_on_validation_images"] in (0, 200)
    assert "out-of-fold predictions" in found["words"][2]
    lines = (in_folds.folder / "out_of_fold.csv").read_text().splitlines()
    assert len(lines) == 201
    wrong = [line for line in lines[1:] if line.split(",")[1] != line.split(",")[2]]
    assert len(wrong) == round(200 * (1 - told["accuracy"]))
    assert told["mistakes"][0]["image"] in {line.split(",")[0] for line in wrong}
