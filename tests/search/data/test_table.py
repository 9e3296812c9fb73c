"""Tables of paths and labels: columns by their usual names, and every fault of the rows in one line."""

import sys
from pathlib import Path
from typing import Any

import pytest

from search.data.table import Row, has_columns, mixed_folder, read_table
from search.data.table_columns import LABEL, PATH, read_columns
from search.errors import InputError

ROWS = [("a/1.png", "cat", "train"), ("a/2.png", "dog", "val"), ("a/3.png", "dog", "Testing")]
READ = [
    Row("a/1.png", "cat", "train", ""),
    Row("a/2.png", "dog", "validation", ""),
    Row("a/3.png", "dog", "test", ""),
]


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "columns",
    [("path", "label", "split"), ("Image Path", "Class", "SET"), ("filename", "category", "subset")],
)
def test_columns_are_found_by_their_usual_names(
    tmp_path: Path, delimiter: str, columns: tuple[str, ...]
) -> None:
    path = table(tmp_path, "\n".join(delimiter.join(values) for values in [columns, *ROWS]))
    assert read_table(path, None) == (READ, list(columns))


def test_tsv_is_divided_by_tabs_and_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = table(tmp_path, "\ufeffpath\tlabel\na,b.png\tcat, or dog\n", "labels.tsv")
    assert read_table(path, None)[0] == [Row("a,b.png", "cat, or dog", "", "")]


def test_public_test_of_a_competition_validates_and_its_private_test_tests(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,split\n1.png,3,Training\n2.png,4,PublicTest\n3.png,4,PrivateTest\n")
    assert [row.part for row in read_table(path, None)[0]] == ["train", "validation", "test"]


def test_quoted_values_hold_delimiters(tmp_path: Path) -> None:
    path = table(tmp_path, 'path,label\n"a,b.png","cat, or dog"\n\n')
    assert read_table(path, None)[0] == [Row("a,b.png", "cat, or dog", "", "")]


@pytest.mark.parametrize(
    "text",
    [
        'path,label,"note;a;b;c"\n1.png,cat,x',
        '"path","label","say ""a;b;c"""\n1.png,cat,x',
        'path,label,"a;b;c;\nd"\n1.png,cat,x',
        '5";path;label\nx;1.png;cat',
    ],
)
def test_delimiters_in_the_quotes_of_a_name_separate_nothing(tmp_path: Path, text: str) -> None:
    assert read_table(table(tmp_path, text), None)[0] == [Row("1.png", "cat", "", "")]


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = dict(zip(("path", "label", "split"), map(list, zip(*ROWS, strict=True)), strict=True))
    parquet.write_table(pyarrow.table({**columns, "boxes": [[1], [2], []]}), tmp_path / "labels.parquet")
    assert read_table(tmp_path / "labels.parquet", None) == (READ, list(columns))
    numbers = {"path": ["1.png", "2.png", "3.png"], "label": [0.0, 1.0, None]}
    parquet.write_table(pyarrow.table(numbers), tmp_path / "labels.parquet")
    with pytest.raises(InputError, match=r"no label in 1 of 3 rows \(row 3\)"):
        read_table(tmp_path / "labels.parquet", None)
    (tmp_path / "labels.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"no .parquet table that can be read \(.*; save it again") as caught:
        read_table(tmp_path / "labels.parquet", None)
    assert "\n" not in str(caught.value)


def parquet_table(folder: Path, **columns: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    whole = {"path": ["1.png", "2.png"], "label": ["cat", "dog"], **columns}
    parquet.write_table(pyarrow.table(whole), folder / "labels.parquet")
    return folder / "labels.parquet"


def beyond_python(kind: str) -> Any:
    """A column that Arrow holds and Python cannot."""
    pyarrow = pytest.importorskip("pyarrow")
    if kind == "text":
        binary = pyarrow.array([b"\xff\xfe"] * 2)
        return pyarrow.Array.from_buffers(pyarrow.string(), 2, binary.buffers())
    of_kind = {
        "nanoseconds": (pyarrow.timestamp("ns"), 1_700_000_000_000_000_001),
        "duration": (pyarrow.duration("s"), 10**15),
        "time zone": (pyarrow.timestamp("s", tz="Mars/Phobos"), 10**9),
    }
    dtype, value = of_kind[kind]
    return pyarrow.array([value, value + 1], dtype)


@pytest.mark.parametrize("kind", ["nanoseconds", "duration", "time zone", "text"])
def test_parquet_column_that_is_not_used_may_hold_what_python_cannot(tmp_path: Path, kind: str) -> None:
    rows, columns = read_table(parquet_table(tmp_path, other=beyond_python(kind)), None)
    assert [row.label for row in rows] == ["cat", "dog"]
    assert columns == ["path", "label", "other"]


@pytest.mark.parametrize("kind", ["duration", "time zone", "text"])
def test_parquet_column_that_is_used_and_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"column label holds .*; save it as text") as caught:
        read_table(parquet_table(tmp_path, label=beyond_python(kind)), None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("twice", ["label", "other"])
def test_parquet_with_a_name_twice_is_refused(tmp_path: Path, twice: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = ["path", "label", *({"label", twice} - {"label"}), twice]
    table = pyarrow.table([pyarrow.array(["1.png", "2.png"]) for _ in names], names=names)
    parquet.write_table(table, tmp_path / "labels.parquet")
    with pytest.raises(InputError, match=f"several columns called {twice}; give each a name of its own"):
        read_table(tmp_path / "labels.parquet", None)


def test_parquet_labels_of_bytes_are_text(tmp_path: Path) -> None:
    rows, _ = read_table(parquet_table(tmp_path, label=[b"ants", "Käfer".encode()]), None)
    assert [row.label for row in rows] == ["ants", "Käfer"]


def test_parquet_labels_of_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column label holds bytes that are not UTF-8 .*; save it as text"):
        read_table(parquet_table(tmp_path, label=[b"\xff", b"cat"]), None)


def test_parquet_groups_are_read(tmp_path: Path) -> None:
    rows, _ = read_table(parquet_table(tmp_path, patient=["a", "b"]), "patient")
    assert [row.group for row in rows] == ["a", "b"]


def test_parquet_split_under_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column phase holds train, test, and seems to be the split"):
        read_table(parquet_table(tmp_path, phase=["train", "test"], other=beyond_python("text")), None)


@pytest.mark.parametrize("values", [[True, False], [1, None]])
def test_parquet_split_of_yes_and_no_is_refused(tmp_path: Path, values: list[Any]) -> None:
    with pytest.raises(InputError, match="column is_train seems to be the split"):
        read_table(parquet_table(tmp_path, is_train=values), None)


def test_parquet_column_that_is_not_used_is_read_no_further_than_its_words_are_few(tmp_path: Path) -> None:
    rows = 1000
    path = parquet_table(
        tmp_path,
        path=[f"{row}.png" for row in range(rows)],
        label=["cat", "dog"] * (rows // 2),
        caption=[f"picture {row}" for row in range(rows)],
        phase=["a", "b"] * (rows // 2),
    )
    assert {name: len(values) for name, values in read_columns(path).items()} == {
        "path": rows,
        "label": rows,
        "caption": 0,
        "phase": 2,
    }


def test_parquet_column_that_is_not_used_may_be_damaged(tmp_path: Path) -> None:
    path = parquet_table(tmp_path, caption=["one picture", "another"])
    from pyarrow import parquet

    damaged = bytearray(path.read_bytes())
    start = parquet.ParquetFile(path).metadata.row_group(0).column(2).dictionary_page_offset
    damaged[start : start + 20] = b"\xff" * 20
    path.write_bytes(damaged)
    assert [row.label for row in read_table(path, None)[0]] == ["cat", "dog"]


def test_parquet_column_of_images_that_is_not_used_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [bytes([number]) * 10_000 for number in range(2)]
    path = parquet_table(tmp_path, picture=images, boxes=[[1], [2]], phase=["a", "b"])
    from pyarrow import parquet

    read: list[str] = []
    for method in ("read", "iter_batches"):
        real = getattr(parquet.ParquetFile, method)

        def spied(*args: Any, columns: list[str], real: Any = real, **options: Any) -> Any:
            read.extend(columns)
            return real(*args, columns=columns, **options)

        monkeypatch.setattr(parquet.ParquetFile, method, spied)
    assert list(read_columns(path)) == ["path", "label", "picture", "phase"]
    assert read == ["path", "label", "phase"]


def test_parquet_column_of_images_in_the_place_of_paths_is_refused_unread(tmp_path: Path) -> None:
    path = parquet_table(tmp_path, path=[b"\xff" * 10_000, b"\xfe" * 10_000])
    with pytest.raises(
        InputError, match=r"column path holds far more than a path .*; expected text .*; save them"
    ):
        read_table(path, None)


def test_csv_column_that_is_not_used_holds_its_words_where_they_are_few(tmp_path: Path) -> None:
    rows = "".join(f"{row}.png,cat,picture {row},{'ab'[row % 2]}\n" for row in range(20))
    columns = read_columns(table(tmp_path, f"path,label,caption,phase\n{rows}"))
    assert {name: len(values) for name, values in columns.items()} == {
        "path": 20,
        "label": 20,
        "caption": 0,
        "phase": 2,
    }


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        InputError, match=r"needs pyarrow; run python -m pip install 'keras-image-search\[parquet\]', or save"
    ):
        read_table(table(tmp_path, "", "labels.parquet"), None)


def test_groups_are_a_column_or_left_to_be_a_pattern(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,patient id\n1.png,cat,7\n2.png,dog,8\n")
    assert [row.group for row in read_table(path, "patient id")[0]] == ["7", "8"]
    assert [row.group for row in read_table(path, "patient")[0]] == ["", ""]


def test_whole_numbers_are_names_of_classes_as_a_program_wrote_them(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\n1.png,0\n2.png,1.0\n3.png,-1\n4.png,2.000e+00\n")
    assert [row.label for row in read_table(path, None)[0]] == ["0", "1", "-1", "2"]


def test_whole_numbers_with_decimal_commas_are_names_of_classes_where_semicolons_separate(
    tmp_path: Path,
) -> None:
    path = table(tmp_path, "path;label;patient\n1.png;1;7\n2.png;1,0;7,0\n3.png;-2,000;8\n")
    rows = read_table(path, "patient")[0]
    assert [(row.label, row.group) for row in rows] == [("1", "7"), ("1", "7"), ("-2", "8")]
    assert [row.label for row in read_table(path, None, classes=("1", "1,0"))[0]] == ["1", "1,0", "-2"]
    path = table(tmp_path, 'path,label\n1.png,1\n2.png,"1,000"\n')
    assert [row.label for row in read_table(path, None)[0]] == ["1", "1,000"], "a thousand"


def test_group_that_a_program_wrote_in_two_ways_is_one(tmp_path: Path) -> None:
    for groups, found in (("1,1.0,2", ["1", "1", "2"]), ("1.0,2.0,3.0", ["1.0", "2.0", "3.0"])):
        rows = "".join(f"{n}.png,cat,{group}\n" for n, group in enumerate(groups.split(",")))
        read = read_table(table(tmp_path, f"path,label,patient\n{rows}"), "patient")[0]
        assert [row.group for row in read] == found


def test_image_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\n1.png,cat\n2.png,dog\n./1.png,cat\n")
    assert [row.path for row in read_table(path, None)[0]] == ["1.png", "2.png"]


def test_known_classes_of_a_study_are_labels_whatever_they_are_called(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\n1.png,NA\n2.png,0.5\n3.png,2.0\n")
    labels = [row.label for row in read_table(path, None, classes=("0.5", "2", "NA"))[0]]
    assert labels == ["NA", "0.5", "2"]


def test_study_that_is_there_goes_on_with_a_split_under_another_name(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,phase,is_valid\n1.png,cat,train,0\n2.png,dog,test,1\n")
    assert {row.part for row in read_table(path, None, classes=("cat", "dog"))[0]} == {""}


@pytest.mark.parametrize(
    "text",
    [
        "path,label,patient\n1.png,cat,val\n2.png,dog,test\n",
        "path,label,source\n1.png,cat,training\n2.png,dog,Train\n3.png,dog,\n",
        "path,label,is_valid\n1.png,cat,\n2.png,dog,\n",
        "path,label,test\n1.png,cat,PCR\n2.png,dog,antigen\n",
        "path,label,valid\n1.png,cat,1\n2.png,dog,1\n",
        "path,label,valid\n1.png,cat,1\n2.png,dog,0\n",
        "path,label,bus,train,car\n1.png,bus,1,0,0\n2.png,train,0,1,0\n",
        "path,label\n/test/train/1.png,cat\n/test/train/2.png,dog\n",
        "path,label\n/data/val/train/1.png,train\n/data/val/bus/2.png,bus\n",
        "path,label\nval/train/1.png,cat\nval/bus/2.png,dog\n",
        "path,label\ntrain/1.png,train\ntest/2.png,test\nbus/3.png,bus\n",
    ],
    ids=[
        "groups",
        "one part",
        "nothing",
        "no yes and no",
        "yes alone",
        "quality",
        "a column for each class",
        "one folder",
        "a class called train",
        "a part that all are in",
        "folders called as labels",
    ],
)
def test_column_that_cannot_be_a_hidden_split_is_left_alone(tmp_path: Path, text: str) -> None:
    assert {row.part for row in read_table(table(tmp_path, text), "patient")[0]} == {""}


def test_folders_beside_a_split_say_nothing(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,split\ntrain/1.png,cat,train\ntest/2.png,dog,train\n")
    assert {row.part for row in read_table(path, None)[0]} == {"train"}


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        ("path,label", ("cat", "dog")),
        ("path,label,is_train", ("cat,1", "dog,0")),
        ("path,label", ("NA", "dog")),
        ("path;label", ("0,5;", "1,5;")),
    ],
)
def test_folder_of_several_labels_is_found_whatever_else_is_wrong_with_the_table(
    tmp_path: Path, columns: str, labels: tuple[str, str]
) -> None:
    (tmp_path / "a").mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "a" / name).touch()
    between = ";" if ";" in columns else ","
    rows = "".join(
        f"a/{n}.png{between}{label.removesuffix(between)}\n" for n, label in enumerate(labels, start=1)
    )
    assert mixed_folder(table(tmp_path, f"{columns}\n{rows}")) == "a"


def test_folder_of_one_label_with_and_without_a_decimal_comma_is_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "2.png").touch()
    assert mixed_folder(table(tmp_path, "path;label\na/1.png;1\na/2.png;1,0\n")) == ""


def test_folder_of_one_label_and_an_empty_one_is_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "2.png").touch()
    assert mixed_folder(table(tmp_path, "path,label\na/1.png,cat\na/2.png,\n")) == ""


BAD = {
    "nothing": (
        "",
        "no column of paths: expected one called path, file, filename, filepath or the like; it has none",
    ),
    "no rows": ("path,label\n", "has no rows; expected one for each image"),
    "no paths": ("id,label\n1,cat\n", "no column of paths: .*; it has id, label; rename one"),
    "no labels": (
        "path,breed\n1.png,cat\n",
        "no column of labels: expected one called label, .*; it has path, breed",
    ),
    "two of labels": (
        "path,label,class\n1.png,1,cat\n",
        "columns label, class may all be the labels; remove all but",
    ),
    "a name twice": (
        "path,label,label\n1.png,1,cat\n",
        "several columns called label; give each a name of its own",
    ),
    "empty label": (
        "path,label\n1.png,cat\n2.png,\n",
        r"no label in 1 of 2 rows \(row 2\); fill it in, or remove",
    ),
    "NaN for a label": (
        "path,label\n1.png,cat\n2.png,NaN\n",
        r"no label in 1 of 2 rows \(row 2\); fill it in",
    ),
    "pandas' word for no label": (
        "path,label\n1.png,cat\n2.png,<NA>\n",
        r"no label in 1 of 2 rows \(row 2\); fill it in, or remove these rows; if '<NA>' is a real one, rename it",
    ),
    "Python's word for no label": (
        "path,label\n1.png,None\n2.png,cat\n",
        r"\(row 1\); fill it in, or remove these rows; if 'None' is a real one, rename it",
    ),
    "a database's word for no label": ("path,label\n1.png,null\n2.png,cat\n", "if 'null' is a real one"),
    "pixels and no paths": (
        "emotion,pixels,Usage\n0,70 80 82,Training\n",
        "no column of paths: .*; it has emotion, pixels, Usage; rename one, or, where the pixels themselves stand in "
        "the table, save those of each row as an image file and name it in a column path",
    ),
    "pixels": (
        f"image,label\n{' '.join(map(str, range(100, 200)))},cat\n",
        r"row 1 has '100 101 .*'\.\.\. of 399 characters for a path, which no file can be called; .*pixels that stand",
    ),
    "a NUL": ("path,label\na\0.png,cat\n", "row 1 has .* for a path, which no file can be called"),
    "empty split": ("path,label,split\n1.png,cat,\n", r"no split in 1 of 1 rows \(row 1\)"),
    "empty group": ("path,label,patient\n1.png,cat,\n", r"no patient in 1 of 1 rows \(row 1\)"),
    "unknown split": (
        "path,label,split\n1.png,cat,fold1\n",
        "the split fold1 is not known; expected train, validation",
    ),
    "a split under another name": (
        "path,label,Data Set\n1.png,cat,Training\n2.png,dog,test\n3.png,dog,\n",
        "column Data Set holds Training, test, and seems to be the split, .*; rename it, or remove it",
    ),
    "a split of FER2013": (
        "path,label,Usage\n1.png,3,Training\n2.png,4,PublicTest\n3.png,4,PrivateTest\n",
        "column Usage holds Training, PublicTest, PrivateTest, and seems to be the split, .*; rename it, or remove it",
    ),
    "a split under another name with words that are no parts": (
        "path,label,phase\n1.png,cat,train\n2.png,dog,dev\n3.png,dog,test\n",
        "column phase holds train, dev, test, and seems to be the split",
    ),
    "a split of yes and no that is called as a part": (
        "path,label,test\n1.png,cat,0\n2.png,dog,1\n",
        "column test seems to be the split, which would not be used: .*; if it is none, rename it",
    ),
    "a split of yes and no in numbers with decimal commas": (
        "path;label;test\n1.png;cat;0,0\n2.png;dog;1,0\n",
        "column test seems to be the split, which would not be used",
    ),
    "a column of yes and no for each part": (
        "path,label,train,test\n1.png,cat,1,0\n2.png,dog,0,1\n",
        "column train seems to be the split, which would not be used",
    ),
    "a split in folders inside one that all are in": (
        "path,label\nval/a/train/1.png,cat\nval/a/test/2.png,dog\n",
        "its images lie in folders test, train, and no column says which",
    ),
    "a split in the folders of paths": (
        "path,label\ntrain/1.png,cat\ntest\\2.png,dog\n",
        "its images lie in folders test, train, and no column says which .*: expected one called split, .*; add it, or",
    ),
    "a split of yes and no": (
        "path,label,is_train\n1.png,cat,1\n",
        "column is_train seems to be the split, which",
    ),
    "quantities": (
        "path,label\n1.png,0.5\n2.png,1.25\n",
        r"labels that are numbers with fractions, .*\(0.5, 1.25\)",
    ),
    "quantities with a comma": (
        "path;label\n1.png;0,1\n",
        r"labels that are numbers with fractions, .*\(0,1\)",
    ),
    "small quantities": ("path,label\n1.png,1e-3\n", r"labels that are numbers with fractions, .*\(1e-3\)"),
    "long numbers of Excel": (
        "path,label\n1.png,1.23457E+11\n2.png,1.23457E+11\n3.png,7\n",
        r"or without their last digits, \(1.23457E\+11\)",
    ),
    "codes": ("path,label\n1.png,1e1\n2.png,10\n3.png,7a\n", r"or without their last digits, \(1e1\)"),
    "other labels": (
        "path,label\n1.png,cat\n1.png,dog\n",
        "1.png is there twice, as label cat and dog; expected one row",
    ),
    "other parts": (
        "path,label,split\n1.png,cat,train\n1.png,cat,test\n",
        "there twice, as part train and test",
    ),
    "a comma too many": (
        "path,label\n1.png,cat, dog\n",
        "line 2 has 3 values, and the first line names 2 columns; put",
    ),
    "open quotes": ('path,label\n"1.png,cat\n', r"no table that can be read \(.*; save it as CSV again"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_table_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(InputError, match=message) as caught:
        read_table(table(tmp_path, text), "patient")
    assert "\n" not in str(caught.value)


def test_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("path,label\n1.png,Käfer\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"not UTF-8 .*; save it as CSV UTF-8"):
        read_table(tmp_path / "labels.csv", None)


def test_table_has_labels_if_its_first_line_names_both_columns(tmp_path: Path) -> None:
    assert has_columns(table(tmp_path, "image,label\n"), PATH, LABEL)
    assert not has_columns(table(tmp_path, "image,width\n"), PATH, LABEL)
    assert not has_columns(table(tmp_path, ""), PATH, LABEL)
