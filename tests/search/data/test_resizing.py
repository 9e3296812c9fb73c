"""What a user wants of the images' size, as it names a request and as it is done."""

import pytest
from PIL import Image

from search.data.cache import request_key
from search.data.resizing import Sizing, as_pixels, resize


def test_sizing_that_stretches_keeps_the_name_of_requests_before_there_was_a_choice() -> None:
    assert Sizing(64).request() == Sizing(64, "stretch").request() == {"image_size": 64}


def test_sizing_has_another_request_for_each_way() -> None:
    keys = {request_key(Sizing(64, way).request()) for way in ("stretch", "fit", "crop")}
    assert len(keys) == 3


def test_smaller_images_stay_as_they_are_unless_their_proportions_would_be_stretched() -> None:
    assert Sizing(224, "stretch", enlarge=False).of(32, 40) == (32, 40)
    assert Sizing(224, "crop", enlarge=False).of(32, 32) == (32, 32)
    assert Sizing(224, "crop", enlarge=False).of(120, 160) == (224, 224)
    assert Sizing(24, "stretch", enlarge=False).of(32, 40) == (24, 24)


def test_sizing_to_other_proportions() -> None:
    assert Sizing("32x64").of(100, 100) == (32, 64)
    assert Sizing("32x64").request() == {"image_size": "32x64"}
    assert Sizing("32x64", "crop", enlarge=False).of(16, 32) == (16, 32)
    assert Sizing("32x64", "crop", enlarge=False).of(16, 16) == (32, 64)
    assert Sizing("32x64", enlarge=False).of(40, 40) == (32, 64)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (3, 5000), (1, 65)])
def test_very_long_picture_is_fitted_to_a_line_and_not_to_nothing(size: tuple[int, int], mode: str) -> None:
    fitted = as_pixels(resize(Image.new(mode, size, "white"), 32, 32, "fit"))
    assert fitted.shape[:2] == (32, 32)
    assert (fitted == 255).all(axis=2).sum() == 32
