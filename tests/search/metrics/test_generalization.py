import pytest

from search.formatting import percent
from search.metrics.generalization import Fit


@pytest.mark.parametrize(
    ("training", "validation", "verdict"),
    [
        (0.99, 0.75, "overfits"),
        (0.99, 0.94, "overfits a little"),
        (0.62, 0.60, "underfits"),
        (0.56, 0.47, "underfits"),
        (0.70, 0.50, "under- and overfits"),
        (0.97, 0.96, "fits"),
        (0.95, 0.99, "fits"),
    ],
)
def test_verdict_weighs_the_gap_against_the_training_error(
    training: float, validation: float, verdict: str
) -> None:
    assert Fit(training, 2000, validation, 2000, training).verdict == verdict


def test_verdict_of_a_gap_within_the_noise_of_few_images_is_not_overfitting() -> None:
    assert Fit(0.97, 200, 0.92, 24, 0.9).verdict == "fits"
    assert Fit(0.97, 2000, 0.92, 2000, 0.9).verdict == "overfits a little"


def test_gap_interval_is_newcombes() -> None:
    # The first example of his paper: 56/70 and 48/80 give 0.0524 to 0.3339 by method 10.
    low, high = Fit(56 / 70, 70, 48 / 80, 80, 0.5).interval

    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_sentence_has_the_figures_and_says_how_the_curves_measure() -> None:
    text = Fit(0.99, 2000, 0.75, 5000, 0.937).sentence

    assert text.startswith("Overfits: 99.0 % of 2,000 training images (as they are) and 75.0 % of 5,000 ")
    assert "a gap of 24.0 points" in text
    assert "93.7 %, is measured in training, with what augmentation and dropout there is" in text


def test_sentence_of_a_sure_but_small_gap_does_not_say_that_none_shows() -> None:
    sure, unsure = (Fit(0.97, images, 0.95, images, 0.9).sentence for images in (20_000, 100))
    assert "; a gap of less than 3 points is nothing to act on." in sure
    assert "; neither over- nor underfitting shows." in unsure


def test_sentence_of_the_curves_alone_says_that_the_gap_is_larger() -> None:
    text = Fit(0.93, 2000, 0.92, 5000, 0.93, plain=False).sentence

    assert "as they were in training, with what augmentation and dropout there was" in text


def test_percent_of_less_than_all_is_not_a_hundred() -> None:
    assert (percent(0.9999), percent(1.0), percent(0.8725)) == ("99.9 %", "100.0 %", "87.2 %")
