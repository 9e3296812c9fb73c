"""``python -m search.delete``: remove a study with its files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.app import main, make_app
from search.cli.options import Storage, Studies, Study, flag
from search.errors import InputError

if TYPE_CHECKING:
    from search.study.deletion import Contents
    from search.study.study import LoadedStudy


def lines_of(contents: "Contents") -> list[str]:
    """What goes and what stays, for a person."""
    goes = []
    if contents.trials is not None:
        goes.append(f"study {contents.study} with all its trials ({contents.trials})")
    for count, what in (
        (contents.unfinished, "deletions of it that were cut short"),
        (contents.orphans, "studies of this name that were deleted by other means, which left files"),
    ):
        if count:
            goes.append(f"{what} ({count})")
    goes.append(
        f"{contents.folder}: models ({contents.models}), checkpoints ({contents.checkpoints}), logs and pictures, "
        f"{contents.size / 1e6:.1f} MB"
    )
    if contents.store is not None:
        goes.append(f"{contents.store}: artifacts of this study ({contents.artifacts})")
    if contents.scorings:
        goes.append(f"the count of scorings of its test images ({contents.scorings})")
    stays = "exports and prepared images"
    if contents.shared:
        stays += f", and what another study of this name has in {contents.folder}"
    if contents.elsewhere:
        stays += f", and all of this name that is of {', '.join(contents.elsewhere)} (see --storage)"
    return [*(f"goes: {line}" for line in goes), f"stays: {stays}"]


def delete(
    study: Study,
    yes: Annotated[bool, flag("--yes", help="Do not ask.")] = False,
    storage: Storage = None,
    root: Studies = Path("studies"),
) -> None:
    """Remove a study with its trials, models, checkpoints, logs and artifacts, after showing what will go.

    Exports are not removed. Nor is a study that workers are at work on. One that was cut short is finished by the
    same command.
    """
    from search.engines.started import at_work
    from search.study.deletion import delete_study

    def check(found: "LoadedStudy") -> None:
        if there := at_work(found.paths):
            raise InputError(
                f"--study {study}: {there} works on it, or waits for its turn; "
                f"end it first with: {found.command('stop')}"
            )

    def agreed(contents: "Contents") -> bool:
        if not yes and not sys.stdin.isatty():
            raise InputError(f"--study {study}: nobody can be asked here; pass --yes to delete it")
        for line in lines_of(contents):
            print(line)
        return yes or typer.confirm("Delete it?")

    if not delete_study(study, storage=storage, root=root, check=check, agreed=agreed):
        print("nothing was deleted")
        raise typer.Exit(1)
    print(f"study {study} is deleted")


app = make_app(
    delete,
    example="""
python -m search.delete --study cifar_cnn
python -m search.delete --study flowers --storage postgresql://me@db.example.org/search --yes
""",
)

if __name__ == "__main__":
    main(app)
