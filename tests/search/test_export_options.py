"""What is asked of an export: other formats, baselines, and what is refused."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.svm import SVC

from search.cli.app import main
from search.data import split
from search.errors import InputError, StudyStopped
from search.export import app
from search.exporting.export import Export
from search.study.request import check_confirm
from search.study.study import LoadedStudy
from storage.ledger import times_scored

pytestmark = pytest.mark.slow


class Replaced(NamedTuple):
    """An export that took the place of another.

    Attributes:
        scored_before: How often the test images had been scored before it.
        made: It.
    """

    scored_before: int
    made: Export


@pytest.fixture(scope="module")
def replaced(
    export, made: Export, searched: LoadedStudy, tmp_path_factory: pytest.TempPathFactory
) -> Replaced:
    """An export with ONNX and baselines in the place of one with LiteRT."""
    out = shutil.copytree(made.folder, tmp_path_factory.mktemp("replaced") / "out")
    (out / "model.tflite").write_bytes(b"TFL3")
    before = times_scored(searched.optuna)
    return Replaced(before, export(out, formats=["onnx"], baselines=["svm", "logistic"]))


def test_format_that_fails_exports_nothing_and_looks_at_no_test_image(
    searched: LoadedStudy, export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object) -> None:
        raise StudyStopped("--format litert: model.tflite, loaded in a fresh process, fails")

    monkeypatch.setattr("search.exporting.builder.write_formats", differ)
    before = times_scored(searched.optuna)
    with pytest.raises(StudyStopped, match=r"model\.tflite"):
        export(tmp_path / "out", formats=["litert"])

    assert list(tmp_path.iterdir()) == []
    assert times_scored(searched.optuna) == before


def test_formats_are_written_beside_the_model_and_those_of_an_earlier_export_go(replaced: Replaced) -> None:
    names = {path.name for path in replaced.made.folder.iterdir()}

    assert {"model.keras", "model.onnx"} <= names
    assert "model.tflite" not in names


def test_baselines_are_scored_in_the_same_look_at_the_test_images(replaced: Replaced) -> None:
    assert replaced.made.summary["times_test_scored"] == replaced.scored_before + 1


def test_baselines_equal_scikit_learn_called_by_hand(searched: LoadedStudy, replaced: Replaced) -> None:
    made = replaced.made
    dataset, config = searched.dataset(), searched.config
    (images, labels), (test_images, test_labels) = dataset.train(), dataset.test()
    train = split(labels, config.validation, config.images, config.seed).train
    x_train, x_test = (each.reshape(len(each), -1) / 255 for each in (images[train], test_images))
    found = made.summary["baselines"]

    for name, by_hand in (("svm", SVC(kernel="linear")), ("logistic", LogisticRegression(max_iter=1000))):
        predicted = by_hand.fit(x_train, labels[train]).predict(x_test)
        assert found[name]["train_images"] == 300
        assert found[name]["test_accuracy"] == accuracy_score(test_labels, predicted)
        assert found[name]["macro_f1"] == pytest.approx(f1_score(test_labels, predicted, average="macro"))
        assert any(
            f"{100 * found[name]['test_accuracy']:.1f} % of the test" in said
            for said in made.summary["words"]
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--study", "nobody"], "no such study"),
        (["--study", "../tiny"], "not a path"),
        (["--study", "tiny", "--trial", "99"], "no such trial"),
        (["--study", "tiny", "--trial", "-1"], "no such trial"),
        (["--study", "tiny", "--trial", "2"], "has not run yet"),
        (["--study", "tiny", "--refit-epochs", "3"], "without --refit"),
        (["--study", "tiny", "--confirm", "--trial", "1"], "leave one of the two out"),
        (["--study", "tiny", "--refit", "--refit-epochs", "0"], "from 1 to"),
        (["--study", "tiny", "--format", "onnx,pickle"], "--format 'pickle': expected"),
        (["--study", "tiny", "--baseline", "forest"], "--baseline 'forest': expected"),
        (["--study", "tiny", "--out", "taken"], "no export wrote"),
        (["--study", "tiny", "--out", "file"], "is a file"),
        (["--study", "tiny", "--storage", "nonsense"], "database URL"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    searched: LoadedStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as end:
        main(app, [*arguments, "--studies", str(searched.paths.root)])

    errors = capsys.readouterr().err
    assert end.value.code == 2
    assert said in errors
    assert len(errors.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_race_of_a_study_in_folds_is_refused() -> None:
    with pytest.raises(InputError, match="--confirm: study tiny is searched in 5 folds"):
        check_confirm("tiny", 5, True)
