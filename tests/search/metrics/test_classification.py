import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from search.metrics.classification import Scores, log_probabilities


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


def test_class_without_an_image_counts_as_zero_as_in_scikit_learn() -> None:
    scores = Scores(np.array([0, 1], dtype=np.int64), np.eye(3, dtype=np.float32)[:2])
    theirs = f1_score(scores.labels, scores.predicted, labels=[0, 1, 2], average="macro", zero_division=0)

    assert scores.macro_f1 == pytest.approx(theirs)


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
