"""Parts of the report by themselves."""

import csv
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial

from search.config.study_config import Backbone
from search.metrics.classification import Scores
from search.plotting.confusion_matrix import write_matrix_csv
from search.reporting.elements import Bar, Charts, Section, Table
from search.reporting.export_reader import ExportReader
from search.reporting.facts import Facts, read_facts
from search.reporting.formatting import DASH
from search.reporting.sections.baselines import baseline_section
from search.reporting.sections.classes import classes_section, mistakes_section
from search.reporting.sections.curves import curves_section
from search.reporting.sections.images import images_section
from search.reporting.sections.parameters import parameter_sections
from search.reporting.sections.race import race_section
from search.reporting.sections.result import result_section
from search.reporting.sections.tiles import tiles
from search.reporting.sections.timing import time_section
from search.reporting.sections.trials import search_section
from search.study.fold_results import FOLDS
from search.study.study import LoadedStudy


def facts_of(study: LoadedStudy) -> Facts:
    return read_facts(study, None)


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def said(section: Section) -> str:
    return " ".join(str(getattr(block, "text", "")) for block in section.blocks)


@pytest.fixture
def central_europe() -> Iterator[None]:
    """The clock of Central Europe, which is put back by an hour on 2026-10-25 at 3."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def with_widths(new_study, widths: list[int]) -> LoadedStudy:
    """Finished trials of one parameter, the wider the better."""
    known = {"width": IntDistribution(1, 99)}
    trials = [
        create_trial(value=0.01 * width, params={"width": width}, distributions=known) for width in widths
    ]
    found: LoadedStudy = new_study(trials=trials)
    return found


def test_no_parameter_is_ranked_where_all_trials_scored_the_same(new_study) -> None:
    known = {"width": IntDistribution(1, 99)}
    trials = [create_trial(value=0.5, params={"width": width}, distributions=known) for width in range(1, 7)]
    section = parameter_sections(facts_of(new_study(trials=trials)))[0]
    assert not tables(section)
    assert said(section).startswith("All finished trials scored the same, 50.0 %, so that no parameter")


def test_one_parameter_has_all_the_importance(new_study) -> None:
    importance, _ = parameter_sections(facts_of(with_widths(new_study, list(range(1, 9)))))
    assert tables(importance)[0].rows == [["width", Bar("100.0 %", 1.0), "1 to 8"]]


def test_parameter_that_matters_is_above_one_that_does_not(new_study) -> None:
    importance, slices = parameter_sections(facts_of(new_study(["finished"] * 40)))
    assert [row[0] for row in tables(importance)[0].rows] == ["dropout", "filters"]
    assert "hint at most" not in said(importance)
    assert len(slices.blocks[1].charts) == 2  # type: ignore[union-attr]


def test_parameters_that_never_varied_are_not_ranked(new_study) -> None:
    importance, slices = parameter_sections(facts_of(with_widths(new_study, [5] * 8)))
    assert said(importance) == "No parameter was varied."
    assert said(slices) == "There is nothing to draw."


def test_trials_that_chance_tells_apart_have_neither_importance_nor_a_best_value(
    new_study, monkeypatch
) -> None:
    labels = np.arange(40) % 2
    right = Scores(labels, np.eye(2, dtype=np.float32)[labels])
    monkeypatch.setattr("search.reporting.facts.read_out_of_fold", lambda *given: right)
    importance, slices = parameter_sections(facts_of(with_widths(new_study, list(range(1, 9)))))
    assert said(importance).startswith("This search decided nothing: its 8 complete trials")
    assert not tables(importance)
    assert "Best" not in slices.blocks[1].charts[0].caption  # type: ignore[union-attr]


def test_trials_that_truly_differ_keep_their_importance(new_study, monkeypatch) -> None:
    labels, found = np.arange(40) % 2, []

    def read(*given: Any) -> Scores:
        found.append(None)
        wrong = np.arange(40) < 5 * (len(found) % 2)
        return Scores(labels, np.eye(2, dtype=np.float32)[np.where(wrong, 1 - labels, labels)])

    monkeypatch.setattr("search.reporting.facts.read_out_of_fold", read)
    importance, _ = parameter_sections(facts_of(with_widths(new_study, list(range(1, 9)))))
    assert tables(importance)


def test_order_of_few_trials_is_called_a_hint(new_study) -> None:
    importance, _ = parameter_sections(facts_of(with_widths(new_study, [1, 2, 3, 4])))
    assert "Of 4 trials the order is a hint at most." in said(importance)


def test_more_trials_than_a_table_should_have_leave_out_the_others(new_study, monkeypatch) -> None:
    monkeypatch.setattr("search.reporting.sections.trials.MOST_ROWS", 3)
    table = tables(search_section(facts_of(new_study(["pruned"] * 4 + ["finished"] * 2))))[-1]
    assert table.caption == "3 of 6 trials, the best finished ones before others"
    assert [(row[0], row[1]) for row in table.rows] == [(0, "pruned"), (4, "finished"), (5, "finished")]


def test_training_of_one_epoch_is_told_in_words(new_study) -> None:
    history = {"loss": [0.5], "accuracy": [0.75], "val_loss": [0.6], "val_accuracy": [0.7]}
    trial = create_trial(value=0.7, user_attrs={"history": history, "kept_epoch": 1, "epochs": 1})
    section = curves_section(facts_of(new_study(trials=[trial])))
    assert "there is no curve. Loss: training 0.5000; validation 0.6000. Accuracy: training 75.0 %; " in said(
        section
    )
    assert not any(isinstance(block, Charts) for block in section.blocks)


def test_trials_that_reported_once_have_no_drawing_of_curves(new_study) -> None:
    once = create_trial(value=0.5, intermediate_values={1: 0.5}, user_attrs={"epochs": 1})
    section = search_section(facts_of(new_study(trials=[once, once])))
    assert "No trial has reported after more than one epoch: there are no curves." in said(section)
    assert [type(block).__name__ for block in section.blocks].count("Chart") == 1


def test_pruned_trials_are_counted_by_their_reason_in_the_order_of_epochs(new_study) -> None:
    reasons = ["pruned after epoch 10", "pruned after epoch 2", "pruned after epoch 2"]
    trials = [
        create_trial(state=TrialState.PRUNED, user_attrs={"reason": reason})
        for reason in [*reasons, "diverged"]
    ]
    table = tables(search_section(facts_of(new_study(trials=trials))))[0]
    assert [row[:2] for row in table.rows] == [
        ["pruned after epoch 2", "2"],
        ["diverged", "1"],
        ["pruned after epoch 10", "1"],
    ]


def test_parameters_are_those_of_the_whole_net_wherever_a_report_has_them(new_study) -> None:
    backbones = (Backbone("lite", "lite.keras", "0", 8, 3_000_000),)
    said = {"parameters": 1000, "params": {"backbone": "lite"}}
    facts = facts_of(new_study(["finished"] * 2, said=said, space="transfer", backbones=backbones))
    best = tables(search_section(facts))[0]
    assert best.head[3:5] == ["parameters", "operations of the head an image"]
    assert {row[3] for row in best.rows} == {"3 M"}
    known = {row[0]: row[1] for row in tables(result_section(facts, ""))[-1].rows}
    assert known["parameters"] == "3,001,000 (3,000,000 of lite, 1,000 of its head)"
    assert "3 M" in {value for _, value, _ in tiles(facts).tiles}


def test_time_is_summed_over_trials_by_what_it_went_to(new_study) -> None:
    table = tables(time_section(facts_of(new_study(["finished", "finished"]))))[0]
    assert table.rows[3] == ["training", Bar("81.6 %", 8 / 9.8), "8 s"]
    assert table.rows[-1] == ["together", Bar("100.0 %", 1.0), "9.8 s"]


def test_time_of_older_trials_is_told_as_far_as_it_was_noted(new_study) -> None:
    older = create_trial(value=0.5, user_attrs={"seconds": 0.0})
    assert "Where the time of the trials went was not recorded." in said(
        time_section(facts_of(new_study(trials=[older])))
    )


def test_clock_of_the_trials_is_that_of_all_times_in_the_report(new_study, central_europe) -> None:
    trial = create_trial(value=0.5)
    trial.datetime_start, trial.datetime_complete = datetime(2026, 10, 25, 1), datetime(2026, 10, 25, 4)
    facts = facts_of(new_study(trials=[trial]))
    begun, ended, between = (row[1] for row in tables(time_section(facts))[-1].rows[:3])
    assert (begun, ended, between) == ("2026-10-24 23:00 UTC", "2026-10-25 03:00 UTC", "4 h 00 min")
    assert facts.trials[0].seconds == 4 * 3600


def test_compute_of_a_search_is_said_to_have_that_of_validation_in_it(new_study) -> None:
    study = new_study(["finished"], said={"validation_compute": 5e8})
    by_the_clock = dict(row[:2] for row in tables(time_section(facts_of(study)))[-1].rows)
    what = "compute of all trials (three forward passes a training image, one a validated view)"
    assert by_the_clock[what] == "1.5 GFLOP"


def test_images_that_are_elsewhere_are_said_to_be(new_study) -> None:
    section = images_section(facts_of(new_study(fingerprint="0" * 32)))
    assert "The prepared images are not on this host" in said(section)
    assert tables(section)[0].head == ["class"]


def test_images_are_counted_in_every_split(new_study, digits) -> None:
    table = tables(images_section(facts_of(new_study())))[0]
    assert table.head == ["class", "training", "validation", "test"]
    assert table.rows[-1][-1] == str(sum(digits.test_counts))


def test_what_the_data_said_about_the_split_is_in_the_report(new_study) -> None:
    section = images_section(facts_of(new_study(validation_images=20, groups="patient")))
    rows = [row for table in tables(section) for row in table.rows]
    assert ["validation", "the 20 images of the data's own validation part, as it is"] in rows
    assert ["never split", "groups by patient"] in rows
    assert "validation images are the data's own part" in said(section)


@pytest.mark.parametrize("folds", [0, 3])
def test_whole_groups_are_not_said_to_be_stratified_without_more(new_study, folds: int) -> None:
    section = images_section(facts_of(new_study(groups="patient", folds=folds)))
    (said_of,) = (row[1] for row in tables(section)[1].rows if row[0] == "validation")
    assert said_of.endswith(", stratified as far as whole groups allow")


def exported_with(study: LoadedStudy, folder: Path, matrix: list[list[int]]) -> Facts:
    """Facts of a study whose export, of an older version, counted a class without an image as 0."""
    config = dataclasses.replace(study.config, classes=("cat", "dog", "accuracy"))
    write_matrix_csv(folder / "confusion_matrix.csv", np.array(matrix), config.classes)
    figures = {"test_accuracy": 1.0, "test_loss": 0.1, "macro_f1": 0.6667, "test_images": 5}
    exported = ExportReader(folder, {"trial": 0, "validation_images": 50, "train_images": 9, **figures})
    return read_facts(dataclasses.replace(study, config=config), exported)


def test_class_without_a_test_image_shows_a_dash_and_lowers_no_mean(new_study, tmp_path) -> None:
    facts = exported_with(new_study(["finished"]), tmp_path, [[2, 0, 0], [0, 0, 0], [0, 0, 3]])
    rows = tables(classes_section(facts))[0].rows
    assert rows[1] == ["dog", "0", DASH, DASH, DASH, DASH]
    assert rows[2] == ["accuracy", "3", "100.0 %", "100.0 %", "43.9 to 100.0 %", "1.0000"]
    assert rows[3] == ["mean over classes", "5", "100.0 %", "100.0 %", DASH, "1.0000"]


def test_macro_f1_is_the_same_in_every_section(new_study, tmp_path) -> None:
    facts = exported_with(new_study(["finished"]), tmp_path, [[2, 0, 0], [0, 0, 0], [0, 0, 3]])
    assert tables(result_section(facts, ""))[0].rows[2][2] == "1.0000"
    facts.__dict__["dataset"] = SimpleNamespace(train_counts=(4, 0, 6))
    baselines = tables(baseline_section(facts))[0].rows
    assert [(row[0], row[3]) for row in baselines] == [("the net", "1.0000"), ("one class", "0.3750")]


def test_class_of_the_simplest_baseline_is_not_chosen_by_the_test_images(new_study, tmp_path) -> None:
    """It had been the one that most test images have, and the net looked worse than what needs no training."""
    facts = exported_with(new_study(["finished"]), tmp_path, [[5, 0, 0], [2, 0, 0], [0, 0, 1]])
    facts.__dict__["dataset"] = SimpleNamespace(train_counts=(3, 11, 12))
    row = tables(baseline_section(facts))[0].rows[1]
    assert (row[1], row[5]) == ("12.5 %", "always accuracy, the most frequent")
    facts.__dict__["dataset"] = SimpleNamespace(train_counts=(3, 12, 12))
    row = tables(baseline_section(facts))[0].rows[1]
    assert (row[1], row[5]) == ("25.0 %", "always dog, one of the most frequent")


def test_simplest_baseline_needs_the_images(new_study, tmp_path) -> None:
    facts = exported_with(new_study(["finished"]), tmp_path, [[5, 0, 0], [2, 0, 0], [0, 0, 1]])
    facts.__dict__["dataset"] = None
    assert [row[0] for row in tables(baseline_section(facts))[0].rows] == ["the net"]


def test_metric_that_is_a_share_is_written_in_percent_beside_the_accuracy(new_study, tmp_path) -> None:
    facts = exported_with(
        new_study(["finished"], metric="balanced_accuracy"), tmp_path, [[2, 0, 0], [0, 0, 0], [0, 0, 3]]
    )
    summary = {**facts.exported.summary, "test_value": 1.0, "validation_value": 0.5}
    facts = dataclasses.replace(facts, exported=ExportReader(tmp_path, summary))
    assert tables(result_section(facts, ""))[0].rows[-1] == ["balanced accuracy", "50.0 %", "100.0 %"]


def test_race_is_told_with_what_the_search_had_promised(tmp_path) -> None:
    racer = {
        "trial": 3,
        "values": [0.7, 0.8],
        "mean": 0.75,
        "standard_deviation": 0.07,
        "search_value": 0.9,
        "why_dropped": None,
    }
    other = {**racer, "trial": 5, "mean": None, "values": [], "why_dropped": "it diverged", "pruned": True}
    race = {
        "winner": 3,
        "decided": True,
        "rounds": 2,
        "share_of_search_compute": 0.2,
        "metric": "accuracy",
        "configurations": [racer, other],
    }
    section = race_section(ExportReader(tmp_path, {"confirm": race}))
    assert "2 rounds, 20.0 % of the search's compute; decided." in said(section)
    assert tables(section)[0].rows == [
        ["trial 3 (exported)", "75.0 %", "7.0 points", "70.0 %, 80.0 %", "90.0 %", "raced to the end"],
        ["trial 5", DASH, "7.0 points", DASH, "pruned", "it diverged"],
    ]


def test_validation_figures_of_folds_are_their_means(new_study) -> None:
    runs = [
        {
            "value": value,
            "kept_epoch": 2,
            "validation_images": 50,
            "history": {
                "val_accuracy": [0.1, value],
                "val_macro_f1": [0.1, value],
                "val_loss": [2.0, 1 - value],
            },
        }
        for value in (0.6, 0.8)
    ]
    trial = create_trial(value=0.7, user_attrs={FOLDS: runs}, intermediate_values={1: 0.6, 2: 0.7})
    table = tables(result_section(facts_of(new_study(trials=[trial], folds=2)), "none"))[0]
    assert table.head[1] == "validation (100 images)"
    assert [row[1] for row in table.rows] == ["70.0 %", "60.4 to 78.1 %", "0.7000", DASH, "0.3000"]


def test_validation_figures_after_a_race_are_those_of_the_exported_weights(new_study, tmp_path) -> None:
    study = new_study(["finished"])
    race = {"mean": 0.61, "rounds": 3}
    summary = {
        "trial": 0,
        "test_accuracy": 0.6,
        "test_loss": 1.0,
        "macro_f1": 0.6,
        "test_images": 100,
        "validation_images": 50,
        "validation_accuracy": 0.62,
        "validation_loss": 0.99,
        "confirm": race,
    }
    section = result_section(read_facts(study, ExportReader(tmp_path, summary)), "")
    assert [row[1] for row in tables(section)[0].rows] == ["62.0 %", "48.2 to 74.1 %", DASH, DASH, "0.9900"]
    assert section.blocks[0].tiles[5] == (  # type: ignore[union-attr]
        "Validation accuracy",
        "61.0 %",
        "trial 0, mean of 3 fresh trainings",
    )
    assert "A race chose this configuration by fresh trainings" in said(section)


def test_metric_that_is_not_always_shown_is_where_it_ranks_the_trials(new_study, tmp_path) -> None:
    history = {"val_accuracy": [0.5], "val_macro_f1": [0.5], "val_loss": [1.0], "val_recall:3": [0.75]}
    trial = create_trial(value=0.75, user_attrs={"history": history, "kept_epoch": 1})
    study = new_study(trials=[trial], metric="recall:3")
    assert tables(result_section(facts_of(study), "none"))[0].rows[-1] == ["recall of 3", "75.0 %"]

    figures = {
        "test_accuracy": 0.6,
        "test_loss": 1.0,
        "macro_f1": 0.6,
        "test_images": 9,
        "validation_images": 5,
    }
    exported = ExportReader(tmp_path, {"trial": 0, "test_value": None, **figures})
    rows = tables(result_section(read_facts(study, exported), ""))[0].rows
    assert rows[-1] == ["recall of 3", "75.0 %", DASH]


def test_steps_of_a_study_in_folds_are_its_folds(new_study) -> None:
    trial = create_trial(value=0.7, intermediate_values={1: 0.6, 2: 0.7})
    section = search_section(facts_of(new_study(trials=[trial], folds=2)))
    assert "a trial is 2 trainings of 4 epochs, one a fold, and scores the folds' mean" in said(section)
    assert ">fold<" in section.blocks[2].svg  # type: ignore[union-attr]


@pytest.mark.parametrize("named", [True, False])
def test_mistakes_of_files_have_their_paths_and_those_of_arrays_their_numbers(
    new_study, export_of: Callable[..., Path], named: bool
) -> None:
    study = new_study(["finished"])
    folder = export_of(study, named)
    summary = json.loads((folder / "summary.json").read_text())
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[3]["image"] == ("pictures/0003.png" if named else "3")
    worst = summary["mistakes"][0]
    row = next(row for row in rows if row["image"] == worst["image"])
    assert (row["true"], row["predicted"]) == (worst["true"], worst["predicted"])
    assert float(row["confidence"]) == pytest.approx(worst["confidence"], abs=1e-6)
    table = tables(mistakes_section(read_facts(study, ExportReader(folder, summary))))[-1]
    assert table.rows[0][0] == worst["image"]
    assert table.text_columns == ((0, 1, 2) if named else (1, 2))
