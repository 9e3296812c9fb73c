import pytest

from search.config.settings import RunOptions
from search.errors import InputError


def test_model_stands_in_the_place_of_a_space() -> None:
    options = RunOptions.given("s", model="my_model:build")
    assert options.space == "my_model:build"
    assert {"model", "space"} <= options.requested


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"model": "my_model:build", "space": "cnn"},
            "--space cnn is given as well; leave one of the two out",
        ),
        ({"model": "my_model.py"}, r"--model my_model\.py: expected the file and the function"),
    ],
)
def test_model_is_refused_beside_a_space_or_without_its_function(asked: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunOptions.given("s", **asked)
