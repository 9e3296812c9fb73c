"""What the command for photographs comes to without a backbone, beside three convolutions in thirty lines of Keras.

Results: results/from_scratch.csv, a row a seed, and their summary results/from_scratch.json. Each run is the command of
a user, ``search.run --space photo_cnn --image-size SIZE --timeout MINUTES``, from nothing to the export. The net of
``plain_keras.py`` is trained on the same images for as many minutes as that took: its epochs are those that fit, by the
pace of three. Both are scored once on the set's test images, at their end. Rows are appended, and the same command goes
on where it ended.

    python benchmarks/from_scratch.py --data FOLDER --size 96 --minutes 3 --repetitions 5
"""

import argparse
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import plain_keras
from record import append_row, commit, make_parser, read_rows, write_result

from search.config.settings import RunOptions
from search.errors import InputError, StudyStopped
from search.workflows.run import search_and_export

PACE = 3
PLAIN = "three convolutions"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="with train/<class>/ and test/<class>/")
    parser.add_argument("--size", type=int, default=96, help="side in pixels (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="seeds (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("studies/from_scratch"))
    asked = parser.parse_args(arguments)
    table = asked.out / "from_scratch.csv"
    settings = (asked.data.name, str(asked.size), f"{asked.minutes:g}")
    there = {(row["data"], row["size"], row["minutes"], row["seed"]) for row in read_rows(table)}
    try:
        for seed in range(asked.repetitions):
            if (*settings, str(seed)) not in there:
                row = repetition(asked, seed)
                append_row(table, row)
                print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    except (InputError, StudyStopped) as error:
        raise SystemExit(f"error: {error}") from None
    print(write_result("from_scratch", summarise(read_rows(table)), asked.out).read_text(encoding="utf-8"))


def repetition(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The command with one seed, and then the plain net for as many minutes."""
    ours = of_command(asked, seed)
    task = plain_keras.task_of(asked.data, None, asked.size, PACE)
    pace = plain_keras.measure(plain_keras.NETS[PLAIN], task, seed)["minutes"] / PACE
    epochs = max(1, round(ours["minutes.exported"] / pace))
    plain = plain_keras.measure(plain_keras.NETS[PLAIN], task._replace(epochs=epochs), seed)
    return {
        "data": asked.data.name,
        "size": asked.size,
        "minutes": f"{asked.minutes:g}",
        "seed": seed,
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **ours,
        "plain": plain["test_accuracy"],
        "minutes.plain": plain["minutes"],
        "epochs.plain": epochs,
        "gflops.plain": plain["flops"] / plain["minutes"] / 6e10,
    }


def of_command(asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """What the command exports, and what it took."""
    place = asked.work.absolute() / f"{asked.data.name}-{asked.size}-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    began = time.monotonic()
    options = RunOptions.given(
        "from_scratch",
        data=asked.data.absolute(),
        space="photo_cnn",
        image_size=asked.size,
        timeout=60 * asked.minutes,
        seed=seed,
        root=place / "studies",
        out=place / "export",
        cache=place / "cache",
    )
    result = search_and_export(options)
    if result.export is None:
        raise StudyStopped(result.stopped or result.none_complete)
    minutes = (time.monotonic() - began) / 60
    summary = result.export.summary
    row = {
        "trials": len(result.study.finished()),
        "trial": summary["trial"],
        "exported": summary["test_accuracy"],
        "minutes.exported": minutes,
        "gflops.final": summary["training_flops"] / summary["seconds"] / 1e9,
    }
    shutil.rmtree(place, ignore_errors=True)
    return row


def summarise(rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Of each set, size and length: both means, and their difference with its standard error."""
    found: dict[str, Any] = {}
    for key in sorted({(row["data"], row["size"], row["minutes"]) for row in rows}):
        own = [row for row in rows if (row["data"], row["size"], row["minutes"]) == key]
        gaps = [float(row["exported"]) - float(row["plain"]) for row in own]
        names = ("exported", "plain", "minutes.exported", "minutes.plain", "gflops.final", "gflops.plain")
        found[" ".join(key)] = {
            "runs": len(own),
            "means": {name: fmean(float(row[name]) for row in own) for name in names},
            "export_minus_plain": fmean(gaps),
            "standard_error": stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else None,
        }
    return found


if __name__ == "__main__":
    main()
