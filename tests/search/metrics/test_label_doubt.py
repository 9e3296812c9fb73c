"""Which labels are doubted because a net, which is good enough for that, takes their images for another class."""

import numpy as np
import pytest

from search.metrics.classification import Scores, wilson
from search.metrics.label_doubt import doubted_labels


def answers(images: int, *wrong: int) -> Scores:
    """What a net says of so many images, the surest first; of those with these numbers it is wrong."""
    labels = np.zeros(images, np.int64)
    logits = np.zeros((images, 2), np.float32)
    logits[:, 0] = np.linspace(9, 1, images)
    logits[list(wrong)] = logits[list(wrong), ::-1]
    return Scores(labels, logits)


def test_mistakes_of_a_net_that_is_nearly_always_right_where_it_is_as_sure_are_doubted() -> None:
    assert doubted_labels(answers(300, 149, 199)).tolist() == [149, 199]


def test_net_that_is_often_wrong_doubts_no_label() -> None:
    assert len(doubted_labels(answers(1000, *range(4, 1000, 3)))) == 0


def test_net_is_trusted_only_as_far_as_it_is_right() -> None:
    found = doubted_labels(answers(1000, 149, *range(500, 1000, 2)))
    assert found[0] == 149
    assert len(found) < 30


@pytest.mark.parametrize(("images", "doubted"), [(20, 0), (400, 1)])
def test_few_images_are_not_enough_to_trust_a_net(images: int, doubted: int) -> None:
    assert len(doubted_labels(answers(images, images - 1))) == doubted
    assert (wilson(images - 1, images)[0] >= 0.95) == bool(doubted)


def test_images_of_one_confidence_are_trusted_together_in_whatever_order() -> None:
    wrong_last, wrong_first = answers(300, *range(280, 300)), answers(300, *range(20))
    for scores in (wrong_last, wrong_first):  # Right and wrong by the same margin.
        scores.logits[:] = np.sign(scores.logits - scores.logits.mean(axis=1, keepdims=True))
        assert len(doubted_labels(scores)) == 0
