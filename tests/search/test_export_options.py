"""What is asked of an export: other formats, baselines, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.svm import SVC

from search.child import ForkServer
from search.command import main
from search.data import split
from search.errors import InputError, StudyStopped
from search.evaluation.preflight import check_confirm
from search.export import Export, app, export_study
from search.study import LoadedStudy
from storage.ledger import times_scored

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def export(searched: LoadedStudy, fork_server: ForkServer, warm_checks) -> Callable[..., Export]:
    """Export the study ``tiny`` once more."""

    def make(out: Path, **more: Any) -> Export:
        with warm_checks():
            return export_study(
                "tiny", root=searched.paths.root, out=out, server=fork_server, say=lambda line: None, **more
            )

    return make


class Replaced(NamedTuple):
    """An export that took the place of another.

    Attributes:
        earlier: The names of the files of the other.
        scored_before: How often the test images had been scored before it.
        made: It.
    """

    earlier: set[str]
    scored_before: int
    made: Export


@pytest.fixture(scope="module")
def replaced(export, searched: LoadedStudy, tmp_path_factory: pytest.TempPathFactory) -> Replaced:
    """An export with ONNX, replaced by one with baselines and no other format."""
    out = tmp_path_factory.mktemp("replaced") / "out"
    export(out, formats=["onnx"])
    earlier = {path.name for path in out.iterdir()}
    before = times_scored(searched.optuna)
    return Replaced(earlier, before, export(out, baselines=["svm", "logistic"]))


def test_format_that_fails_exports_nothing_and_looks_at_no_test_image(
    searched: LoadedStudy, export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object) -> None:
        raise StudyStopped("--format litert: model.tflite, loaded in a fresh process, fails")

    monkeypatch.setattr("search.evaluation.make.write_formats", differ)
    before = times_scored(searched.optuna)
    with pytest.raises(StudyStopped, match=r"model\.tflite"):
        export(tmp_path / "out", formats=["litert"])

    assert list(tmp_path.iterdir()) == []
    assert times_scored(searched.optuna) == before


def test_format_is_written_beside_the_model_and_replaced_by_the_next_export(replaced: Replaced) -> None:
    assert {"model.keras", "model.onnx"} <= replaced.earlier
    assert (replaced.made.folder / "model.keras").is_file()
    assert not (replaced.made.folder / "model.onnx").exists()


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
