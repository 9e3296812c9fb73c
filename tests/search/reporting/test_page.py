"""The report of every kind of study: whole, half done, hardly begun, odd."""

import dataclasses
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.data.preparation import prepare
from search.errors import InputError
from search.study.finding import create_study
from search.study.sweep_cells import FIXED, REPEAT, SWEEP
from storage.ledger import record_scoring

SECTIONS = [
    "result", "confusion", "classes", "mistakes", "curves", "baselines", "search", "importance", "slices", "time",
    "data", "repeat",
]  # fmt: skip
ODD = "<script>alert(1)</script> & \"quoted\" 'names' </style> $x_1$ | ünï"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(HTMLParser):
    """Notes sections, and elements that are closed by nobody or by the wrong tag."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sections: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [str(found["id"])] if "id" in found else []
        if tag == "section":
            self.sections.append(str(found["id"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def check(text: str) -> Checker:
    """Whatever the study: whole HTML, every section, no address twice, nothing from elsewhere, no script."""
    found = Checker()
    found.feed(text)
    assert (found.open, found.wrong) == ([], [])
    assert [name for name in found.sections if name not in ("sweep", "cost")] == SECTIONS
    assert len(found.ids) == len(set(found.ids))
    assert "<script" not in text.lower()
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"|@import|url\((?!#)', text)
    return found


def words(text: str) -> str:
    """What a reader sees of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def trial(value: float | None = 0.5, state: TrialState = TrialState.COMPLETE, **said: Any) -> FrozenTrial:
    params: dict[str, Any] = said.pop("params", {"width": 3})
    known = {
        "width": IntDistribution(1, 9),
        "rate": FloatDistribution(1e-4, 1, log=True),
        "kind": CategoricalDistribution(("a", "b", None, True)),
        ODD: FloatDistribution(0, 1),
    }
    distributions = {name: known[name] for name in params}
    return create_trial(state=state, value=value, params=params, distributions=distributions, **said)


def test_page_of_a_searched_and_exported_study_says_all_of_it(new_study, exported, report, tmp_path) -> None:
    study = new_study(["finished"] * 6 + ["pruned"] * 5 + ["failed"])
    record_scoring(study.optuna, 0, "export")
    summary = json.loads((exported / "summary.json").read_text())
    text = report(study, export=exported)
    check(text)
    said = words(text)
    low, high = summary["test_accuracy_interval"]
    assert f"{100 * low:.1f} to {100 * high:.1f} %" in said
    assert "6 finished, 5 pruned; 1 failed" in said
    assert "Test images scored 1 time" in said
    assert "(this one included)" not in said  # The export's own count may be of long ago.
    assert "failed here" in said
    assert text.count("data:image/png;base64,") == 2
    assert text.count("<svg") == 4 + 2 + 3


def test_page_counts_what_other_studies_have_scored(new_study, report) -> None:
    study = new_study(["finished"])
    config = dataclasses.replace(study.config, study="other")
    other = create_study(config, study.dataset().folder, None, study.paths.root)
    record_scoring(other.optuna, 0, "export")
    said = words(report(study))
    assert "Test images scored 1 time 1 of them by other studies of the same images" in said
    assert "never been scored in this study. Other studies of the same images have scored them once." in said


def test_page_without_an_export_says_so_and_shows_the_search(new_study, report) -> None:
    text = report(new_study(["finished"] * 5 + ["pruned"]))
    check(text)
    assert "No figure here is of test images: there is no export in" in words(text)
    assert "The test images have never been scored in this study." in words(text)
    assert text.count("data:image/png;base64,") == 1  # one training image of each class


def test_page_of_a_study_without_a_trial(new_study, report) -> None:
    text = report(new_study())
    check(text)
    assert "No trial has been begun yet." in words(text)


def test_page_of_a_study_with_one_trial(new_study, report) -> None:
    text = report(new_study(["finished"]))
    check(text)
    assert "1 finished trial cannot tell which parameter matters" in words(text)


def test_page_of_a_running_study(new_study, report) -> None:
    study = new_study(["pruned"])
    asked = study.optuna.ask()
    asked.report(0.25, 1)
    asked.storage.set_trial_system_attr(asked._trial_id, "life", {"epoch": 2, "epochs": 4, "device": "GPU:0"})
    study.optuna.enqueue_trial({})
    text = report(study)
    check(text)
    assert "1 pruned, 1 running, 1 waiting" in words(text)
    assert "2 of 4 25.0 % GPU:0" in words(text)
    assert "No trial has finished yet: there is no best configuration." in words(text)


def test_page_of_failed_trials_alone_gives_their_reasons(new_study, report) -> None:
    failed = [
        trial(None, TrialState.FAIL, user_attrs={"reason": reason}) for reason in ("out of memory", "", ODD)
    ]
    text = report(new_study(trials=failed))
    check(text)
    assert ODD in words(text)
    assert "no reason was recorded" in words(text)


def test_words_from_outside_are_escaped_everywhere(odd_page: str) -> None:
    check(odd_page)
    said = words(odd_page)
    for word in (f"{ODD} 3", f"/data/{ODD}", f"Best: {ODD} 2", f"{ODD} 1 {ODD}"):
        assert word in said, word


def test_conditional_words_and_missing_values_are_shown(new_study, report) -> None:
    kinds = ["a", "b", None, True]
    trials = [
        trial(
            0.1 * number,
            params={"kind": kinds[number % 4], **({"rate": 10.0**-number} if number % 2 else {})},
        )
        for number in range(5)
    ]
    text = report(new_study(trials=trials))
    check(text)
    assert "Only some trials have rate: compared among those that do." in words(text)
    assert text.count('id="slice-0') == 0 or "<svg" in text


def test_reports_that_are_no_numbers_are_left_out(new_study, report) -> None:
    odd = trial(None, TrialState.PRUNED, intermediate_values={1: 0.5, 2: float("inf")})
    text = report(new_study(trials=[odd, trial(0.7)]))
    check(text)
    assert "inf" not in words(text).split()


def test_least_loss_is_the_best(new_study, report) -> None:
    text = report(new_study(trials=[trial(2.5), trial(0.5), trial(1.5)], metric="loss"))
    check(text)
    assert "Validation loss 0.5000 trial 1, by which it was chosen" in words(text)


def test_test_images_are_not_opened(new_study, exported, report, digits, tmp_path) -> None:
    """Law 2: all that is said of them comes from the export."""
    study = new_study(["finished"] * 2)
    blind = shutil.copytree(digits.folder, tmp_path / "cache" / digits.fingerprint)
    shutil.rmtree(blind / "sealed")
    study.optuna.set_user_attr("dataset", str(blind))
    text = report(study, export=exported)
    check(text)
    assert "Images of each class" in words(text)


def test_study_is_only_read(new_study, report) -> None:
    study = new_study(["finished", "pruned", "failed"])
    asked = study.optuna.ask()
    before = study.optuna.get_trials(), study.optuna.user_attrs
    report(study)
    again = optuna.load_study(study_name="made", storage=study.storage)
    assert (again.get_trials(), again.user_attrs) == before
    assert again.trials[asked.number].state == TrialState.RUNNING


def test_export_of_a_trial_that_is_not_the_best_any_more_is_said(
    new_study, exported, report, tmp_path
) -> None:
    text = report(new_study(["finished"], [trial(0.999)]), export=exported)
    check(text)
    assert "The export is of trial 0; by validation accuracy, trial 1 (99.9 %) is the best" in words(text)


def test_refit_says_whose_validation_figures_these_are(new_study, exported, report, tmp_path) -> None:
    export = shutil.copytree(exported, tmp_path / "export")
    summary = json.loads((export / "summary.json").read_text())
    more = {"refit": True, "validation_note": "validation figures are the search trial's"}
    (export / "summary.json").write_text(json.dumps({**summary, **more}))
    text = report(new_study(["finished"]), export=export)
    check(text)
    assert "Validation figures are the search trial's" in words(text)
    assert "retrained on all training images" in words(text)


def test_export_that_lacks_its_newer_files_gives_what_there_is(new_study, exported, report, tmp_path) -> None:
    (tmp_path / "export").mkdir()
    export = Path(shutil.copy(exported / "summary.json", tmp_path / "export")).parent
    text = report(new_study(["finished"]), export=export)
    check(text)
    assert "The export has no confusion matrix." in words(text)


def test_many_classes_are_a_picture_and_their_worst_pairs_a_table(
    new_study, export_of, report, tmp_path
) -> None:
    labels = np.arange(90) % 30
    pixels = np.zeros((90, 8, 8), np.uint8)
    dataset = prepare((pixels, labels, pixels, labels), cache=tmp_path / "cache", say=lambda line: None)
    study = new_study(["finished"], dataset=dataset)
    text = report(study, export=export_of(study))
    check(text)
    assert 'class="matrix"' not in text
    assert text.count("data:image/png;base64,") == 3
    assert "Most frequent confusions (15 of" in words(text)


def test_no_figure_of_the_page_is_parted_from_its_unit(odd_page: str) -> None:
    prose = re.sub(r"<(style|svg|pre)\b.*?</\1>", "", odd_page, flags=re.DOTALL)
    assert "\N{NO-BREAK SPACE}%" in prose
    assert not re.findall(r"\d (?:%|ms|s|[kMGT]?FLOP)(?!\w)", html.unescape(re.sub(r"<[^>]+>", "", prose)))


def test_sweep_is_judged_and_its_cells_are_shown(new_study, report) -> None:
    study = new_study()
    for number, width in enumerate((2, 4, 8)):
        history = {"accuracy": [0.5, 0.6], "val_accuracy": [0.4, 0.5 + 0.1 * number]}
        said = {
            "history": history,
            "kept_epoch": 2,
            "seconds": 3.0,
            "parameters": 100 * width,
            "flops": 1000,
            REPEAT: 0,
        }
        study.optuna.add_trial(
            trial(0.5, params={"width": width}, user_attrs=said, system_attrs={FIXED: {"width": width}})
        )
    sweep = {"base": None, "params": {"width": 4}, "vary": {"width": [2, 4, 8]}, "repeat": 1, "left_out": []}
    study.optuna.set_user_attr(SWEEP, sweep)
    text = report(study)
    assert check(text).sections[1] == "sweep"
    assert "--out exports/made-best, then this report with --export exports/made-best" in words(text)
    assert "One run a cell cannot tell a difference from noise of training" in words(text)
    assert "python -m search.sweep --study made --space cnn --vary width=2,4,8 --repeat 1" in words(
        text
    ).replace(" \\ ", " ")


@pytest.mark.parametrize("name", ["summary.json", "predictions.csv"])
def test_spoilt_file_of_an_export_is_named(new_study, exported, report, tmp_path: Path, name: str) -> None:
    export = shutil.copytree(exported, tmp_path / "export")
    (export / name).write_text('a,b\nc,"d"\n{')
    with pytest.raises(InputError, match=f"its {name} is spoilt; export again"):
        report(new_study(["finished"]), export=export)
