"""What is asked of an export: nets are trained by the study's own version of its space, kept weights need none."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import spaces
from search.config.study_config import StudyConfig
from search.errors import InputError
from search.exporting.request import check_space
from search.study.finding import create_study
from search.study.space_version import CODE
from search.study.study import LoadedStudy
from spaces.contract import Backbone

NOTHING = {"refit": False, "confirm": False, "fine-tune": False}


@pytest.fixture
def study_of(tmp_path: Path) -> Callable[..., LoadedStudy]:
    """A study that was made with a space of this code."""

    def make(code: str, space: str = "small_space") -> LoadedStudy:
        config = StudyConfig("s", "elsewhere", "f" * 32, ("a", "b"), 8, 8, 1, space=space)
        made = create_study(config, tmp_path, None, tmp_path / "studies", about={CODE: code})
        assert made is not None
        return made

    return make


def test_export_that_trains_is_refused_by_another_version_of_the_space(study_of) -> None:
    study = study_of("0123456789abcdef")
    with pytest.raises(InputError) as refused:
        check_space(study, {**NOTHING, "refit": True, "confirm": True})
    assert str(refused.value) == (
        "space small_space: study s was made with another version of it (its code differs, in build perhaps); bring "
        "the same files here, or export the kept weights, without --refit and --confirm"
    )


def test_export_that_trains_goes_on_with_the_same_version(study_of) -> None:
    check_space(study_of(spaces.code_of(spaces.load("small_space"))), {**NOTHING, "refit": True})


@pytest.mark.parametrize("space", ["small_space", "gone_by_now"])
def test_export_of_kept_weights_needs_no_space(study_of, space: str) -> None:
    check_space(study_of("0123456789abcdef", space), NOTHING)


def test_export_over_a_backbone_builds_its_frozen_part_again(study_of) -> None:
    study = study_of("0123456789abcdef")
    config = dataclasses.replace(study.config, backbones=(Backbone("a", "a", "d", 8, 0),))
    with pytest.raises(InputError, match=r"bring the same files here$"):
        check_space(dataclasses.replace(study, config=config), NOTHING)
