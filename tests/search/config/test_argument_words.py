"""What a Python caller reads speaks of arguments, what a command's user reads of flags."""

import logging

import pytest

from search.config.argument_words import in_arguments, of_arguments
from search.config.arguments import flags_in_python
from search.config.settings import ExportOptions, RunOptions, SweepOptions
from search.errors import InputError, StudyStopped

ARGUMENTS = {
    **flags_in_python(SweepOptions),
    **flags_in_python(ExportOptions),
    **flags_in_python(RunOptions),
}


@pytest.mark.parametrize(
    ("of_flags", "of_arguments"),
    [
        ("--epochs 0: expected a number from 1", "epochs=0: expected a number from 1"),
        ("--pruner 'x': expected one of none", "pruner='x': expected one of none"),
        ("--data /a b/c: no images in it", "data='/a b/c': no images in it"),
        ("--storage postgresql://h/s: no studies there", "storage='postgresql://h/s': no studies there"),
        ("--try {'filters': 3}: blocks is missing", "try_first={'filters': 3}: blocks is missing"),
        ("--backbone x: no backbone; pass --space transfer, or leave --backbone out",
         "backbones='x': no backbone; pass space='transfer', or leave backbones out"),
        ("--refit-epochs 3 says nothing without --refit: give both", "refit_epochs=3 says nothing without refit=True: "
         "give both"),
        ("--refit makes an export and --no-export forbids it",
         "refit=True makes an export and export=False forbids it"),
        ("--flip False: study s was made with True; leave the flag out, or choose another --study name",
         "flip=False: study s was made with True; leave the argument out, or choose another study name"),
        ("--flip 'yes': expected True or False", "flip='yes': expected True or False"),
        ("--vary filters=x: 'x' is no number", "vary={'filters': ['x']}: 'x' is no number"),
        ("pass one, such as --image-size 64", "pass one, such as image_size=64"),
        ("too few for --test 0.2 and a split", "too few for test=0.2 and a split"),
        ("--metric macro_f1 ranks by all alike", "metric='macro_f1' ranks by all alike"),
        ("expected such as --vary filters=16,32", "expected such as vary={'filters': [16, 32]}"),
        ("too large: over --max-cost 2.5MFLOP", "too large: over max_cost=2500000"),
        ("no study in studies (--studies or --storage say where)", "no study in studies (root or storage say where)"),
        ("it is there; run python -m search.run --study s --trials 3 first, or pass --trials 9",
         "it is there; run python -m search.run --study s --trials 3 first, or pass trials=9"),
        ("python -m search.run --study s --storage sqlite:////a.db --studies '/a b, c' --trials 3; or pass --test 1",
         "python -m search.run --study s --storage sqlite:////a.db --studies '/a b, c' --trials 3; or pass test=1"),
        ("--study PosixPath('p1'): expected a text", "study=PosixPath('p1'): expected a text"),
        ("--studies b'x': expected a path", "root=b'x': expected a path"),
        ("--flip 3: expected True or False", "flip=3: expected True or False"),
        ("/a--b: no flag", "/a--b: no flag"),
    ],
)  # fmt: skip
def test_message_of_flags_becomes_one_of_arguments(of_flags: str, of_arguments: str) -> None:
    assert in_arguments(of_flags, ARGUMENTS) == of_arguments


def test_exceptions_and_lines_are_translated_at_the_boundary_alone(capsys) -> None:
    logger = logging.getLogger("search.test")

    def refuse(kind: type[Exception]) -> None:
        logger.info("hint: %s", "--folds 5 scores on all")
        raise kind("--epochs 0: too few")

    for kind in (InputError, StudyStopped):
        with pytest.raises(kind, match=r"^epochs=0: too few$"):
            of_arguments(refuse)(kind)
        with pytest.raises(kind, match=r"^--epochs 0: too few$"):
            refuse(kind)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "hint: folds=5 scores on all",
        "hint: --folds 5 scores on all",
    ]
