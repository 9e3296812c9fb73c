"""Folders as people have them: what is understood, and what is refused because it can be read in two ways."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.data.layout import Layout, refuse_masks, refuse_two_levels, understand
from search.errors import InputError

Make = Callable[..., Path]


@pytest.fixture
def lay_out(tmp_path: Path) -> Make:
    """Make a folder of empty files with these paths."""

    def make(*files: str) -> Path:
        root = tmp_path / "photos"
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        return root

    return make


def parts(layout: Layout) -> dict[str, str]:
    return {part: path.relative_to(layout.root).as_posix() for part, path in layout.parts.items()}


UNDERSTOOD: dict[str, tuple[list[str], dict[str, str]]] = {
    "two parts": (["train/a/1.png", "test/a/1.png"], {"train": "train", "test": "test"}),
    "three parts": (
        ["train/a/1.png", "val/a/1.png", "test/a/1.png"],
        {"train": "train", "validation": "val", "test": "test"},
    ),
    "without a test": (["train/a/1.png", "valid/a/1.png"], {"train": "train", "validation": "valid"}),
    "any case": (["Train/a/1.png", "TEST/a/1.png"], {"train": "Train", "test": "TEST"}),
    "long names": (
        ["training/a/1.png", "validation/a/1.png", "testing/a/1.png"],
        {"train": "training", "validation": "validation", "test": "testing"},
    ),
    "a competition's two test parts": (
        ["Training/a/1.png", "PublicTest/a/1.png", "PrivateTest/a/1.png"],
        {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"},
    ),
    "training images alone beside those with validation": (
        ["train/a/1.png", "trainval/a/1.png", "test/a/1.png"],
        {"train": "train", "test": "test"},
    ),
    "a test part beside another one of a competition": (
        ["train/a/1.png", "test/a/1.png", "private_test/a/1.png"],
        {"train": "train", "test": "test"},
    ),
    "classes in camel case": (["TrainStation/1.png", "TestTube/1.png", "Bus/1.png"], {"": "."}),
    "classes in camel case that begin small": (["trainStation/1.png", "valDisere/1.png"], {"": "."}),
    "names with set, unpacked into themselves": (
        ["training_set/training_set/a/1.png", "test_set/test_set/a/1.png"],
        {"train": "training_set/training_set", "test": "test_set/test_set"},
    ),
    "classes": (["a/1.png", "b/1.png"], {"": "."}),
    "a class called train": (["train/1.png", "bus/1.png"], {"": "."}),
    "classes called test and val": (["test/1.png", "val/1.png"], {"": "."}),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_folder_is_understood(lay_out: Make, name: str) -> None:
    files, expected = UNDERSTOOD[name]
    assert parts(understand(lay_out(*files))) == expected


def test_outer_folders_are_gone_through(lay_out: Make) -> None:
    root = lay_out("data/v2/train/a/1.png", "data/v2/test/a/1.png", "README.txt", "__MACOSX/x", ".git/x")
    layout = understand(root)
    assert layout.root == root / "data/v2"
    assert parts(layout) == {"train": "train", "test": "test"}
    assert layout.name("train") == "train/"


def test_only_class_beside_images_is_no_outer_folder(lay_out: Make) -> None:
    root = lay_out("photos/a/1.png", "loose.png")
    assert understand(root).root == root


def test_folders_beside_parts_are_told(lay_out: Make) -> None:
    assert understand(lay_out("train/a/1.png", "test/a/1.png", "extra/1.png")).unused == ("extra",)
    assert understand(lay_out("trainval/a/1.png")).unused == ("extra", "trainval")


REFUSED: dict[str, tuple[list[str], str]] = {
    "two validation parts": (
        ["train/a/1.png", "val/a/1.png", "valid/a/1.png"],
        "val/, valid/, which all may be the validation part: expected one",
    ),
    "two cases": (["train/a/1.png", "Train/a/1.png", "test/a/1.png"], "Train/, train/, which all may be"),
    "train alone": (["train/a/1.png"], r"has train/ but no test/: expected both; .* pass --data .*/train"),
    "train beside others": (["train/a/1.png", "cats/1.png"], r"no test/, and beside it cats/: expected both"),
    "no train": (["val/a/1.png", "test/a/1.png"], "has test/, val/ but no train/: expected both; rename"),
    "parts inside classes": (
        ["a/train/1.png", "a/test/1.png", "b/train/1.png", "b/test/1.png"],
        "a/ has test/, train/ in it: expected train/<class>/ and test/<class>/; move the classes into the parts",
    ),
    "a class called train with subfolders": (
        ["train/a/1.png", "bus/1.png"],
        "train/ is a class, give it another",
    ),
    "domains to be translated": (
        ["trainA/1.png", "trainB/1.png", "testA/1.png", "testB/1.png"],
        "testA/, testB/, trainA/, trainB/ look like parts, and would be taken for classes",
    ),
    "unusual names": (
        ["seg_train/a/1.png", "seg_test/a/1.png"],
        "look like parts, and would be taken for classes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_folder_that_can_be_read_in_two_ways_is_refused(lay_out: Make, name: str) -> None:
    files, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        understand(lay_out(*files))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["fold1/cat/1.png", "fold1/dog/1.png", "fold2/cat/1.png", "fold2/dog/1.png"],
         r"fold1/, fold2/ hold no images of their own but share the folders cat/, dog/: .* if cat/, dog/ are"),
        (["fold1/cat/1.png", "fold1/dog/1.png", "fold2/cat/1.png", "fold2/dog/1.png", "fold2/bird/1.png"],
         r"fold1/, fold2/ hold no images of their own but share the folders cat/, dog/: .* if cat/, dog/ are"),
        (["fold1/cat/1.png", "fold1/dog/1.png", "fold1/emu/1.png", "fold2/cat/1.png", "fold2/dog/1.png",
          "fold2/bird/1.png"], r"fold1/, fold2/ hold no images of their own but share the folders cat/, dog/"),
        (["fold1/photos/cat/1.png", "fold1/photos/dog/1.png", "fold2/photos/cat/1.png", "fold2/photos/dog/1.png"],
         r"fold1/, fold2/ hold no images of their own but share the folders cat/, dog/"),
        (["train/ill/images/1.png", "train/ill/masks/1.png", "train/well/images/1.png", "train/well/masks/1.png",
          "test/ill/1.png"], "ill/, well/ hold no images .* if ill/, well/ are, put their images right into them"),
        (["f1/0/1.png", "f1/1/1.png", "f2/0/1.png", "f2/1/1.png"], "f1/, f2/ hold no images .* if 0/, 1/ are"),
    ],
)  # fmt: skip
def test_folders_of_which_two_levels_may_be_the_classes_are_refused(
    lay_out: Make, files: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        refuse_two_levels(understand(lay_out(*files)))


@pytest.mark.parametrize(
    "files",
    [
        ["a/1.png", "b/1.png"],
        ["a/x/1.png", "a/y/1.png", "b/1.png"],
        ["a/1.png", "a/x/1.png", "a/y/1.png", "b/1.png", "b/x/1.png", "b/y/1.png"],
        ["a/x/1.png", "a/y/1.png", "b/x/1.png", "b/z/1.png"],
        ["a/x/1.png", "b/x/1.png"],
        ["cat/000/1.png", "cat/001/1.png", "dog/000/1.png", "dog/001/1.png", "dog/002/1.png"],
        ["0/1.png", "1/1.png", "2/0/1.png", "2/1/1.png"],
        ["a/x/1.png", "a/y/1.png", "b/x/1.png", "b/y/1.png", "b/z/1.png", "b/w/1.png"],
        [
            "a/p1/1.png",
            "a/p2/1.png",
            "a/p3/1.png",
            "a/p4/1.png",
            "b/p3/1.png",
            "b/p4/1.png",
            "b/p5/1.png",
            "b/p6/1.png",
        ],
    ],
)
def test_folders_inside_classes_that_cannot_be_classes_are_legal(lay_out: Make, files: list[str]) -> None:
    refuse_two_levels(understand(lay_out(*files)))


def test_folder_that_holds_the_folders_beside_it_once_more_is_refused(lay_out: Make) -> None:
    layout = understand(lay_out("cat/1.png", "dog/1.png", "all/cat/1.png", "all/dog/1.png"))
    with pytest.raises(
        InputError, match=r"all/ holds the folders cat/, dog/, as are beside it: .*; if all/ is a copy"
    ):
        refuse_two_levels(layout)


def test_class_that_holds_folders_called_as_those_beside_it_is_told_what_to_do(lay_out: Make) -> None:
    layout = understand(lay_out("left/1.png", "right/1.png", "both/left/1.png", "both/right/1.png"))
    with pytest.raises(
        InputError, match="if it is a class, put its images right into it, or give its folders other names"
    ):
        refuse_two_levels(layout)


def test_thousands_of_classes_with_folders_are_compared_with_the_first(
    lay_out: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.layout.COMPARED", 1)
    own = [f"{name}/{name}{inner}/1.png" for name in "abc" for inner in range(2)]
    refuse_two_levels(understand(lay_out(*own)))
    layout = understand(lay_out("z/a0/1.png", "z/a1/1.png"))
    with pytest.raises(InputError, match="a/, z/ hold no images of their own but share"):
        refuse_two_levels(layout)


@pytest.mark.parametrize("outer", ["", "train/"])
def test_images_beside_masks_are_refused(lay_out: Make, outer: str) -> None:
    files = [
        f"{outer}Images/1.png",
        f"{outer}annotations/trimaps/1.png",
        "test/cat/1.png" if outer else "1.png",
    ]
    with pytest.raises(
        InputError,
        match=r"Images/ beside annotations/ seem to be no classes: .*; put the images of each .*, rename them",
    ):
        refuse_masks(understand(lay_out(*files)))


def test_class_called_mask_is_legal(lay_out: Make) -> None:
    refuse_masks(understand(lay_out("mask/1.png", "no_mask/1.png")))


@pytest.mark.parametrize("names", ["image label text", "Figure Image Label Table", "image mask hat"])
def test_images_and_masks_beside_other_images_are_classes(lay_out: Make, names: str) -> None:
    refuse_masks(understand(lay_out(*(f"{name}/deeper/1.png" for name in names.split()))))


@pytest.mark.parametrize(
    "others",
    [
        ["Annotation/dog/1", "lists/train_list.mat"],
        ["labels/train1.txt", "imdb/imdb.mat"],
        ["attributes/attributes.txt", "parts/parts.txt"],
        ["Annotations/1.xml", "ImageSets/Main/trainval.txt", "SegmentationClass/1.png"],
    ],
)
def test_classes_inside_images_beside_what_belongs_to_them_are_told(lay_out: Make, others: list[str]) -> None:
    root = lay_out("Images/dog/1.png", "Images/cat/1.png", *others)
    with pytest.raises(
        InputError, match=f"if the folders in Images/ are the classes, pass --data {root}/Images;"
    ):
        refuse_masks(understand(root))


def test_tables_of_labels_are_found_beside_folders(lay_out: Make) -> None:
    root = lay_out("images/1.png", "labels.csv", "sizes.csv", "notes.txt")
    (root / "labels.csv").write_text("image,label\nimages/1.png,cat\n")
    (root / "sizes.csv").write_text("image,width\nimages/1.png,3\n")
    layout = understand(root)
    assert [table.name for table in layout.tables] == ["labels.csv"]
    assert not layout.has_classes


def test_folder_of_folders_beside_a_table_is_not_gone_through(lay_out: Make) -> None:
    root = lay_out("images/2019/1.png", "images/2020/1.png")
    (root / "labels.csv").write_text("image,label\nimages/2019/1.png,cat\n")
    layout = understand(root)
    assert layout.root == root
    assert not layout.has_classes
