"""How long the report of a study with 1,000 trials takes, and how large it is (wanted: under 20 s on two cores).

Result, hardware, versions, number of runs: results/report.json.

One trial of digits is really trained and exported; the others are made up after it, two in three of them pruned, with
curves, notes and parameters of the default space. The command is then run in a process of its own, three times.

    python benchmarks/report.py [--trials 1000]
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from record import print_table, write_result

import spaces
from search.life import run_study
from search.study import LoadedStudy

RUNS, TARGET = 3, 20.0
EPOCHS = 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        made = run_study(
            "report", data="digits", trials=1, epochs=EPOCHS, root=place / "studies", out=place / "exports"
        )
        add_trials(made.study, trials - 1)
        command = [sys.executable, "-m", "search.report", "--study", "report", "--studies", place / "studies"]
        command += ["--export", place / "exports", "--out", place / "report.html"]
        seconds = []
        for _ in range(RUNS):
            begun = time.monotonic()
            subprocess.run([str(part) for part in command], check=True)
            seconds.append(round(time.monotonic() - begun, 1))
        size = (place / "report.html").stat().st_size
    figures = {"trials": trials, "seconds": seconds, "target": TARGET, "bytes": size, "runs": RUNS}
    print_table(["trials", "seconds", "MB"], [[trials, ", ".join(map(str, seconds)), f"{size / 1e6:.2f}"]])
    print(f"written to {write_result('report', figures)}")


def add_trials(study: LoadedStudy, count: int) -> None:
    """Put made-up trials behind the real one."""
    real, chance = study.optuna.get_trials()[0], random.Random(0)
    sampler = optuna.samplers.RandomSampler(seed=0)
    aside = optuna.create_study(direction=study.config.direction, sampler=sampler)
    space = spaces.load(study.config.space)
    made = []
    for number in range(1, count + 1):
        trial = aside.ask()
        params = space.sample(trial, study.config.input_spec)
        made.append(_made_up(real, trial, params, chance, pruned=number % 3 != 0))
    study.optuna.add_trials(made)


def _made_up(
    real: FrozenTrial, trial: optuna.Trial, params: dict[str, Any], chance: random.Random, *, pruned: bool
) -> FrozenTrial:
    top = 0.9 + 0.02 * params["blocks"] - 0.05 * params["dropout"] + 0.03 * chance.random()
    epochs = 3 if pruned else EPOCHS
    curve = [top - 0.4 / (epoch + 1) for epoch in range(epochs)]
    history = {**real.user_attrs["history"], "val_accuracy": curve}
    said = {"params": params, "epochs": epochs, "history": history, "worker": f"worker-{trial.number % 8}"}
    return optuna.trial.create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=curve[-1],
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={
            **real.user_attrs,
            **said,
            **({"reason": f"pruned after epoch {epochs}"} if pruned else {}),
        },
        intermediate_values=dict(enumerate(curve, start=1)),
    )


if __name__ == "__main__":
    main()
