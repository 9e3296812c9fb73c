"""The race of ``--confirm``: with made-up trainings, and once for real, exported and gone on with."""

import dataclasses
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from search.config.settings import ExportOptions
from search.errors import StudyStopped
from search.exporting import writers
from search.exporting.confirm import confirm_best, run_race
from search.exporting.entrants import Course, distinct
from search.exporting.export import Export
from search.exporting.race import Race, Racer
from search.exporting.race_rule import COMPUTE_SHARE
from search.exporting.race_runs import RaceRun
from search.exporting.race_words import race_sentences
from search.exporting.request import ExportRequest
from search.exporting.writers import draw_race
from search.process.child import Child
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.workflows.export import export_study
from storage.ledger import times_scored

CONFIG: Any = SimpleNamespace(study="$s$", seed=0, epochs=2, metric="accuracy", length=0)
# What trial 3, the search's best, and its rivals score in the rounds.
UNDECIDED = {3: [0.90, 0.95, 0.93, 0.91, 0.94], 8: [0.92, 0.93, 0.95, 0.90, 0.95]}


def asked(study: LoadedStudy, say: Callable[[str], None] = print) -> ExportRequest:
    return ExportRequest(study, study.optuna.trials[0], True, ExportOptions.given("s"), (), (), say)


def trial(number: int, value: float = 0.97) -> Any:
    attributes = {"compute": 100.0, "epochs": 2, "params": {"width": number}}
    state = SimpleNamespace(name="COMPLETE")
    return SimpleNamespace(number=number, value=value, user_attrs=attributes, state=state)


def race(table: dict[int, list[Any]], compute: float = 1e9, config: Any = CONFIG) -> tuple[Race, list[Any]]:
    """A race whose trainings score as in ``table``, each for 100 FLOPs; and the trainings."""
    trained: list[Any] = []

    def train(of: Any, seed: int, keep: bool) -> RaceRun:
        trained.append((of.number, seed, keep))
        place = sum(number == of.number for number, _, _ in trained) - 1
        return RaceRun(seed, {}, table[of.number][place], 100.0, Path("weights") if keep else None)

    racers = [Racer(trial(number, 0.97 - place / 100)) for place, number in enumerate(table)]
    course = Course((), allowed=COMPUTE_SHARE * compute)
    return run_race(config, racers, compute, 1 / 1000, train, lambda line: None, course), trained


def test_every_configuration_is_trained_with_the_same_seeds() -> None:
    found, trained = race(UNDECIDED)
    seeds = {number: [seed for of, seed, _ in trained if of == number] for number in UNDECIDED}

    assert seeds[3] == seeds[8] == list(found.seeds)
    assert len(set(found.seeds)) == 5


def test_only_weights_of_the_first_seed_are_kept() -> None:
    found, trained = race(UNDECIDED)

    assert [keep for _, _, keep in trained] == [True, True] + [False] * 8
    assert found.winner.runs[0].weights == found.weights == Path("weights")


def test_race_that_stays_open_goes_to_the_best_mean_and_says_that_it_is_open() -> None:
    found, _ = race(UNDECIDED)

    assert (found.ended_because, found.winner.trial.number) == ("rounds", 8)
    assert not found.figures()["decided"]
    assert "not decided: trial 3 (92.6 %) may be as good" in race_sentences(found, refit=False)[1]


def test_race_ends_as_soon_as_it_is_decided() -> None:
    found, trained = race({3: [0.80, 0.85, 0.83], 8: [0.90, 0.95, 0.93], 5: [0.7, 0.75, 0.73]})

    assert (found.ended_because, found.winner.trial.number, len(trained)) == ("decided", 8, 6)
    assert [racer.trial.number for racer in found.racing] == [8]
    assert "behind trial 8" in found.racers[0].eliminated


def test_race_runs_no_round_that_would_exceed_a_quarter_of_the_search() -> None:
    found, trained = race(UNDECIDED, compute=4 * 650.0)

    assert (found.ended_because, len(found.seeds), len(trained)) == ("compute", 3, 6)
    assert found.compute == 600.0 <= 650.0
    assert "another would take more than 25.0 % of the search's compute" in race_sentences(found, False)[1]


def test_race_of_a_single_round_has_no_spread() -> None:
    found, _ = race(UNDECIDED, compute=4 * 250.0)
    said = race_sentences(found, refit=False)

    assert found.figures()["standard_deviation"] is None
    assert "in one round, trial 8 has the best mean validation accuracy, 92.0 %." in said[0]


def test_configuration_that_diverges_drops_out() -> None:
    found, _ = race({3: [0.99, None], 8: [0.90, 0.91]})

    assert (found.ended_because, found.winner.trial.number) == ("decided", 8)
    assert "NaN or infinite" in found.racers[0].eliminated
    assert found.figures()["configurations"][0]["values"] == [0.99, None]


def test_race_in_which_all_diverge_stops() -> None:
    with pytest.raises(StudyStopped, match="every configuration diverged"):
        race({3: [None], 8: [None]})


def test_race_by_loss_goes_to_the_lowest() -> None:
    by_loss = SimpleNamespace(seed=0, epochs=2, metric="loss", length=0)
    found, _ = race({3: [0.80, 0.85], 8: [0.30, 0.351]}, config=by_loss)

    assert found.winner.trial.number == 8
    assert found.figures()["configurations"][1]["shrinkage"] == pytest.approx(0.3255 - 0.96)


def test_figures_have_the_spread_and_what_the_search_had_promised() -> None:
    found, _ = race({3: [0.90, 0.92], 8: [0.91, 0.90]}, compute=1600.0)
    of_3 = found.figures()["configurations"][0]

    assert of_3["mean"] == pytest.approx(0.91)
    assert of_3["standard_deviation"] == pytest.approx(0.0141, abs=1e-4)
    assert of_3["shrinkage"] == pytest.approx(0.97 - 0.91)
    assert (of_3["dropped_after_round"], of_3["why_dropped"]) == (None, None)
    assert found.figures()["share_of_search_compute"] == 0.25
    assert "had scored 97.0 %, 6.0 points better than this mean" in race_sentences(found, False)[2]


def test_figures_have_how_many_times_as_long_as_a_trial_the_trainings_were() -> None:
    found, _ = race(UNDECIDED)
    assert found.figures()["times"] == 1.0
    longer = dataclasses.replace(found.course, times=2.5)
    assert dataclasses.replace(found, course=longer).figures()["times"] == 2.5


def test_race_in_a_space_that_counts_no_operations_says_nothing_of_compute() -> None:
    found = dataclasses.replace(race(UNDECIDED)[0], search_compute=0.0)

    assert found.figures()["share_of_search_compute"] == 0.0
    assert "compute" not in race_sentences(found, refit=False)[3]


def test_words_say_whose_weights_are_exported() -> None:
    found, _ = race(UNDECIDED)

    assert f"the weights of its first seed, {found.seeds[0]}" in race_sentences(found, refit=False)[3]
    assert "once more on all training images" in race_sentences(found, refit=True)[3]


@pytest.mark.parametrize(
    ("best", "end"),
    [
        (8, "; it was the search's best, too."),
        (3, "; the search's best was trial 3, which has 92.6 %."),
        (1, "; the search's best was trial 1, which did not race."),
        (None, "(standard deviation 2.1 points)."),
    ],
)
def test_words_know_the_search_s_best_where_it_was_left_out_too(best: int | None, end: str) -> None:
    found = race(UNDECIDED)[0]
    found = dataclasses.replace(found, course=dataclasses.replace(found.course, best=best))
    assert race_sentences(found, refit=False)[0].endswith(end)


def test_value_of_a_pruned_trial_on_its_way_is_not_drawn_as_that_in_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = race(UNDECIDED)
    found.racers[1].trial.state.name = "PRUNED"  # type: ignore[misc]
    lines: list[Any] = []
    monkeypatch.setattr(writers, "write_race", lambda _, racers, *more: lines.extend(racers))
    draw_race(tmp_path / "race.png", found, refit=False)
    assert [line.in_search for line in lines] == [0.97, None]
    assert [one.get("pruned") for one in found.figures()["configurations"]] == [None, True]


def test_picture_is_drawn_of_races_of_any_course(tmp_path: Path) -> None:
    for table in (UNDECIDED, {3: [0.8, 0.85], 8: [0.9, 0.95]}, {3: [None], 8: [0.9]}):
        found, _ = race(table)
        draw_race(tmp_path / "race.png", found, refit=False)
        with Image.open(tmp_path / "race.png") as picture:
            assert min(picture.size) > 500


def test_repeats_of_a_configuration_race_once() -> None:
    ranked = [trial(3), trial(8), trial(5)]
    ranked[1].user_attrs["params"] = {"width": 3}

    assert [each.number for each in distinct(ranked)] == [3, 5]


class Counting:
    """A fork server that counts the trainings which it starts, and may refuse to."""

    def __init__(self, server: ForkServer, most: int = 100) -> None:
        self.backend, self.trainings = server.backend, 0
        self._server, self._most = server, most

    def start(self, job: str, *arguments: Any) -> Child:
        self.trainings += job == "search.training.job:train"
        if self.trainings > self._most:
            raise KeyboardInterrupt
        return self._server.start(job, *arguments)


@pytest.fixture(scope="module")
def short() -> Iterator[None]:
    """Two rounds, whatever they take: the study of these tests has two trials."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("confirm", "entrants"):
            patch.setattr(f"search.exporting.{module}.COMPUTE_SHARE", 100.0)
        patch.setattr("search.exporting.entrants.Course", partial(Course, rounds=2))
        yield


@pytest.fixture(scope="module")
def confirmed(
    searched: LoadedStudy,
    fork_server: ForkServer,
    short: None,
    warm_checks,
    tmp_path_factory: pytest.TempPathFactory,
) -> Export:
    """The study ``tiny`` exported with ``--confirm``, after a first try that was interrupted in its third training."""
    out = tmp_path_factory.mktemp("confirmed") / "tiny"
    for server in (Counting(fork_server, 2), Counting(fork_server)):
        settings: Any = {"root": searched.paths.root, "out": out, "server": server, "say": lambda line: None}
        try:
            with warm_checks():
                found = export_study("tiny", confirm=True, **settings)
        except KeyboardInterrupt:
            assert not out.exists()
    assert server.trainings == 2, "what was finished before the interruption is not trained again"
    return found


@pytest.fixture
def again(searched: LoadedStudy, fork_server: ForkServer, short: None) -> Callable[[], tuple[Race, int]]:
    def call() -> tuple[Race, int]:
        server: Any = Counting(fork_server)
        found = confirm_best(asked(searched), server)
        assert isinstance(found, Race)
        return found, server.trainings

    return call


@pytest.mark.slow
def test_exported_weights_are_the_winners_of_the_first_seed(confirmed: Export, searched: LoadedStudy) -> None:
    said = confirmed.summary["confirm"]
    kept = searched.paths.race_file(said["winner"], said["seeds"][0], "keras")
    values = {of["trial"]: of["values"] for of in said["configurations"]}

    with zipfile.ZipFile(confirmed.folder / "model.keras") as exported, zipfile.ZipFile(kept) as trained:
        # The export's metadata have the names of the classes, too.
        for name in ("model.weights.h5", "config.json"):
            assert exported.read(name) == trained.read(name)
    assert confirmed.summary["trial"] == said["winner"]
    assert confirmed.summary["seed"] == said["seed_of_the_weights"] == said["seeds"][0]
    assert confirmed.summary["validation_accuracy"] == pytest.approx(values[said["winner"]][0], abs=0.002)


@pytest.mark.slow
def test_summary_has_the_race_in_figures_and_in_words(confirmed: Export, searched: LoadedStudy) -> None:
    said = json.loads((confirmed.folder / "summary.json").read_text())["confirm"]
    means = {of["trial"]: of["mean"] for of in said["configurations"]}

    assert set(means) == {0, 1}
    assert said["winner"] == max(means, key=lambda number: means[number])
    assert [of["search_value"] for of in said["configurations"]] == [each.value for each in searched.ranked()]
    assert any(f"trial {said['winner']} has the best mean" in words for words in confirmed.summary["words"])
    with Image.open(confirmed.folder / "confirm.png") as picture:
        assert min(picture.size) > 500


@pytest.mark.slow
def test_race_scores_the_test_images_once(confirmed: Export, searched: LoadedStudy) -> None:
    ledger = searched.optuna.user_attrs["test_ledger"]

    assert confirmed.summary["times_test_scored"] == times_scored(searched.optuna)
    assert [entry["trial"] for entry in ledger if entry["why"] == "confirm"] == [confirmed.summary["trial"]]


@pytest.mark.slow
def test_race_run_again_trains_nothing_and_says_the_same(confirmed: Export, again) -> None:
    found, trainings = again()

    assert trainings == 0
    assert found.figures() == confirmed.summary["confirm"]


@pytest.mark.slow
def test_training_that_is_lost_is_done_again_with_the_same_value(
    confirmed: Export, searched: LoadedStudy, again
) -> None:
    said = confirmed.summary["confirm"]
    searched.paths.race_file(1, said["seeds"][1], "json").unlink()
    found, trainings = again()

    assert trainings == 1
    assert found.figures() == said


@pytest.mark.slow
def test_race_that_does_not_fit_is_not_run_and_says_so(
    confirmed: Export, searched: LoadedStudy, fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("confirm", "entrants"):
        monkeypatch.setattr(f"search.exporting.{module}.COMPUTE_SHARE", 0.25)
    server: Any = Counting(fork_server)
    lines: list[str] = []

    assert "more than the 25.0 %" in str(confirm_best(asked(searched, lines.append), server))
    assert server.trainings == 0
    assert len(lines) == 1
    assert re.search(r"would take \d+\.\d % of the search's compute, more than the 25\.0 %", lines[0])
