import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)

from search.metrics.class_figures import class_figures, class_report, mean_of_defined
from search.metrics.classification import Scores, log_probabilities, one_image


def some(classes: int = 4, count: int = 200) -> Scores:
    random = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % classes
    logits = random.normal(size=(count, classes)).astype(np.float32)
    logits[np.arange(count), labels] += 1
    return Scores(labels, logits)


def test_figures_are_those_of_scikit_learn() -> None:
    scores = some()

    assert scores.loss == pytest.approx(log_loss(scores.labels, scores.probabilities))
    assert scores.macro_f1 == pytest.approx(f1_score(scores.labels, scores.predicted, average="macro"))


def test_confusion_matrix_agrees_with_the_accuracy() -> None:
    scores = some()

    assert scores.confusion_matrix.trace() / scores.confusion_matrix.sum() == pytest.approx(scores.accuracy)
    assert (scores.confusion_matrix.sum(axis=1) == 50).all()


def test_accuracy_interval_is_wilsons() -> None:
    from scipy.stats import norm

    scores = some()
    count, fraction, z = len(scores.labels), scores.accuracy, norm.ppf(0.975)
    middle = (fraction + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(fraction * (1 - fraction) / count + z**2 / (4 * count**2))

    assert scores.accuracy_interval == pytest.approx((middle - half, middle + half))


def test_temperature_divides_the_logits() -> None:
    scores = some()
    cooled = Scores(scores.labels, scores.logits / 2)

    assert Scores(scores.labels, scores.logits, 2.0).loss == pytest.approx(cooled.loss)
    assert Scores(scores.labels, scores.logits, 2.0).probabilities == pytest.approx(cooled.probabilities)


def test_huge_logits_do_not_overflow() -> None:
    found = log_probabilities(np.array([[1e30, 0.0], [-1e30, 0.0]]))

    assert np.isfinite(found[:, :]).all()
    assert found[0, 0] == 0


def test_class_without_an_image_lowers_no_macro_f1() -> None:
    scores = Scores(np.array([0, 1], dtype=np.int64), np.eye(3, dtype=np.float32)[:2])

    assert (scores.accuracy, scores.macro_f1) == (1.0, 1.0)
    assert np.isnan(scores.f1[2])


def test_class_that_is_predicted_alone_counts_as_zero() -> None:
    scores = Scores(np.array([0, 1], dtype=np.int64), np.eye(3, dtype=np.float32)[[0, 2]])

    assert scores.f1.tolist() == [1.0, 0.0, 0.0]
    assert scores.macro_f1 == pytest.approx(1 / 3)


def test_class_figures_are_those_of_scikit_learn_where_they_have_a_meaning() -> None:
    labels, predicted = [0, 0, 1, 1, 3], [0, 0, 1, 3, 4]
    theirs = precision_recall_fscore_support(labels, predicted, labels=range(5), zero_division=np.nan)
    ours = class_figures(confusion_matrix(labels, predicted, labels=range(5)))

    np.testing.assert_array_equal(ours, theirs[:3])
    assert mean_of_defined(ours.f1) == np.nanmean(theirs[2])
    assert mean_of_defined(ours.f1, theirs[3]) == pytest.approx(2 / 3)


def test_class_that_is_called_as_a_figure_over_all_keeps_its_row() -> None:
    _, values = class_report(np.array([[3, 1], [0, 4]]), ("accuracy", "cat"))
    assert values["accuracy"] == pytest.approx(7 / 8)
    assert values["accuracy (class)"]["recall"] == pytest.approx(3 / 4)


def test_class_that_is_called_as_such_a_row_keeps_its_own() -> None:
    _, values = class_report(np.diag([1, 2]), ("accuracy", "accuracy (class)"))
    supports = {name: row["support"] for name, row in values.items() if name.startswith("accuracy (")}
    assert supports == {"accuracy (class) (class)": 1, "accuracy (class)": 2}


def test_class_report_counts_images_in_whole_numbers_where_none_is_right() -> None:
    text, values = class_report([[0, 20], [1, 0]], ["cat", "v2.0"])

    rows = [line for line in text.splitlines() if line]
    assert [row.split()[-1] for row in rows] == ["support", "20", "1", "21", "21", "21"]
    assert len({len(row) for row in rows}) == 1
    assert [str(values[name]["support"]) for name in ("cat", "v2.0", "macro avg")] == ["20", "1", "21"]


def test_class_report_of_a_name_with_a_line_break_has_one_row_for_it() -> None:
    text, values = class_report([[2, 0], [0, 0]], ["black\ncat", "dog"])

    lines = [line.split() for line in text.splitlines()]
    assert ["black", "cat", "1.0000", "1.0000", "1.0000", "2"] in lines
    assert ["dog", "-", "-", "-", "0"] in lines
    assert values["black\ncat"]["support"] == 2


def test_class_report_has_a_dash_where_a_figure_has_no_meaning() -> None:
    text, values = class_report([[2, 0, 0], [0, 3, 0], [0, 0, 0]], ["cat", "nan", "dog"])

    lines = [line.split() for line in text.splitlines()]
    assert ["nan", "1.0000", "1.0000", "1.0000", "3"] in lines
    assert ["dog", "-", "-", "-", "0"] in lines
    assert ["macro", "avg", "1.0000", "1.0000", "1.0000", "5"] in lines
    assert values["dog"] == {"precision": None, "recall": None, "f1-score": None, "support": 0}


def test_metrics_are_those_of_scikit_learn() -> None:
    scores, names = some(classes=3, count=60), ["cat", "dog", "a:b"]
    recalls = recall_score(scores.labels, scores.predicted, average=None)

    assert [scores.figure(f"recall:{name}", names) for name in names] == pytest.approx(list(recalls))
    assert scores.figure("balanced_accuracy", names) == pytest.approx(
        balanced_accuracy_score(scores.labels, scores.predicted)
    )
    assert scores.figure("auc", names) == pytest.approx(
        roc_auc_score(scores.labels, scores.probabilities, multi_class="ovr", average="macro")
    )
    assert scores.figure("loss", names) == scores.loss


def test_metrics_are_over_the_classes_that_are_there() -> None:
    labels, names = np.array([0, 0, 1, 1]), ["cat", "dog", "emu"]
    scores = Scores(labels, np.eye(3, dtype=np.float32)[[0, 2, 1, 1]])

    assert scores.figure("balanced_accuracy", names) == 0.75
    assert scores.figure("auc", names) == pytest.approx((0.75 + 1) / 2)
    assert np.isnan(scores.figure("recall:emu", names))
    assert np.isnan(Scores(labels[:2], scores.logits[:2]).auc)


def test_every_training_reports_the_studys_metric_beside_the_usual() -> None:
    found = some().validation_figures("recall:b", ["a", "b", "c", "d"])

    assert list(found) == ["val_loss", "val_accuracy", "val_macro_f1", "val_recall:b"]
    assert list(some().validation_figures("loss", "abcd")) == ["val_loss", "val_accuracy", "val_macro_f1"]


@pytest.mark.parametrize(
    ("metric", "step"),
    [
        ("accuracy", 1 / 60), ("macro_f1", 1 / 60), ("loss", 0), ("recall:b", 1 / 10),
        ("balanced_accuracy", 1 / 20), ("auc", 1 / 20),
    ],
)  # fmt: skip
def test_one_image_changes_a_metric_by_its_share_of_what_the_metric_is_of(metric: str, step: float) -> None:
    assert one_image(metric, [50, 10, 0], ["a", "b", "c"]) == pytest.approx(step)


@pytest.mark.parametrize(
    ("labels", "logits", "said"),
    [
        ([0], [[np.nan, 0.0]], "not all finite"),
        ([2], [[0.0, 1.0]], "outside 0 to 1"),
        ([0, 1], [[0.0, 1.0]], "do not belong"),
        ([], np.zeros((0, 2)), "do not belong"),
    ],
)
def test_outputs_that_no_figure_can_come_from_are_refused(labels: object, logits: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scores(np.array(labels, dtype=np.int64), np.array(logits, dtype=np.float32))


def test_surest_mistakes_come_first_and_no_right_answer_is_among_them() -> None:
    logits = np.array([[0, 1], [0, 9], [9, 0], [0, 5]], dtype=np.float32)
    scores = Scores(np.array([0, 0, 0, 0], dtype=np.int64), logits)

    assert scores.mistaken.tolist() == [1, 3, 0]
    (first,) = scores.described(scores.mistaken[:1], "image {}".format, ["cat", "dog"])
    assert first == {
        "image": "image 1",
        "true": "cat",
        "predicted": "dog",
        "confidence": pytest.approx(0.9999, abs=1e-4),
    }
