import io
from pathlib import Path

import optuna
import pytest
from bottle import HTTPError

from search.study.study import LoadedStudy
from search.web.pictures import Pictures


@pytest.fixture
def study(open_digits) -> LoadedStudy:
    return open_digits()


@pytest.fixture
def pictures(study: LoadedStudy) -> Pictures:
    return Pictures(study.storage, study.paths.root)


def refused(pictures: Pictures, name: str) -> int:
    with pytest.raises(HTTPError) as error:
        pictures.open_reader(name)
    return int(error.value.status_code)


def test_file_of_a_study_is_found(study: LoadedStudy, pictures: Pictures) -> None:
    study.pictures.write("abc", io.BytesIO(b"a picture"))
    assert pictures.open_reader("abc").read() == b"a picture"


def test_file_in_the_store_that_hosts_share_is_found(open_digits, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    study: LoadedStudy = open_digits(artifacts=str(tmp_path / "shared"))
    study.pictures.write("abc", io.BytesIO(b"a picture"))
    assert Pictures(study.storage, study.paths.root).open_reader("abc").read() == b"a picture"


def test_file_that_is_gone_is_not_found(pictures: Pictures) -> None:
    assert refused(pictures, "abc") == 404


@pytest.mark.parametrize("name", ["../../secret", "..", ".", "", "/etc/passwd"])
def test_name_that_leads_elsewhere_is_not_found(study: LoadedStudy, pictures: Pictures, name: str) -> None:
    study.pictures.write("real", io.BytesIO(b"x"))
    (study.paths.pictures / "../../secret").write_text("secret")
    assert refused(pictures, name) == 404


def test_link_to_another_place_is_not_found(study: LoadedStudy, pictures: Pictures, tmp_path: Path) -> None:
    study.pictures.write("real", io.BytesIO(b"x"))
    (tmp_path / "secret").write_text("secret")
    (study.paths.pictures / "abc").symlink_to(tmp_path / "secret")
    assert refused(pictures, "abc") == 404


def test_page_writes_no_files(pictures: Pictures) -> None:
    with pytest.raises(HTTPError, match="not from this page"):
        pictures.write("abc", io.BytesIO(b"x"))


def test_removed_file_is_gone_and_may_have_been_before(study: LoadedStudy, pictures: Pictures) -> None:
    study.pictures.write("abc", io.BytesIO(b"x"))
    changing = Pictures(study.storage, study.paths.root, allow_changes=True)
    changing.remove("abc")
    changing.remove("abc")
    assert refused(pictures, "abc") == 404


def test_page_that_only_reads_removes_no_file(study: LoadedStudy, pictures: Pictures) -> None:
    study.pictures.write("abc", io.BytesIO(b"x"))
    with pytest.raises(HTTPError, match="--allow-changes"):
        pictures.remove("abc")
    assert pictures.open_reader("abc").read() == b"x"


def test_study_of_somebody_else_in_the_database_is_passed_over(
    study: LoadedStudy, pictures: Pictures
) -> None:
    optuna.create_study(study_name="theirs", storage=study.storage)
    study.pictures.write("abc", io.BytesIO(b"x"))
    assert pictures.open_reader("abc").read() == b"x"
