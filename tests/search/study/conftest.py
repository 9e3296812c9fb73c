"""A study of digits that has no trials yet."""

from pathlib import Path

import pytest

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.study.finding import create_study
from search.study.study import LoadedStudy


@pytest.fixture
def config(digits: Dataset) -> StudyConfig:
    of_data = ("fingerprint", "classes", "height", "width", "channels")
    return StudyConfig("s", "digits", **{name: getattr(digits, name) for name in of_data})


@pytest.fixture
def study(config: StudyConfig, digits: Dataset, tmp_path: Path) -> LoadedStudy:
    return create_study(config, digits.folder, None, tmp_path / "studies")
