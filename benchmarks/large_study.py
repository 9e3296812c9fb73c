"""How long a study with 1,000 trials takes to look at (wanted on two cores: dashboard 3 s, report 20 s, status 2 s).

Result, hardware, versions, number of runs: results/large_study.json.

One trial of digits is really trained and exported; the others are made up after it, two in three of them pruned, each
with curves, note, picture and parameters of the default space. The commands run in processes of their own, three times
(``--runs``). Of the dashboard it is the time from asking for the study's page, in a fresh Chromium, until its script
has run (``script``), until its history shows all trials and it answers again, and until a click has shown the list of
them (``list``); a started dashboard is asked as often.

    python benchmarks/large_study.py [--trials 1000] [--runs 3]
"""

import dataclasses
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.artifacts import ArtifactMeta
from optuna.trial import FrozenTrial, Trial, TrialState
from playwright.sync_api import Browser, sync_playwright
from record import make_parser, print_table, write_result

import spaces
from search.study.study import LoadedStudy
from search.web.notes import write_note
from search.web.picture_names import CURVES
from search.web.trial_page import trial_note
from search.workflows.run import run_study
from storage.artifacts import ARTIFACT_PREFIX

TARGETS = {"dashboard": 3.0, "report": 20.0, "status": 2.0}
EPOCHS = 12
CHROMIUM = "/usr/bin/chromium"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3, help="of each command (default: %(default)s)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        made = run_study(
            "large",
            data="digits",
            validation=0.1,
            trials=1,
            epochs=EPOCHS,
            root=place / "studies",
            out=place / "exports",
        )
        trials = add_trials(made.study, asked.trials - 1)
        report = place / "report.html"
        seconds = measure(
            made.study, trials, asked.runs, ["--export", str(place / "exports"), "--out", str(report)]
        )
        size = report.stat().st_size
    rows = [[name, ", ".join(map(str, took)), TARGETS.get(name, "")] for name, took in seconds.items()]
    print_table([f"{trials} trials", "seconds", "wanted under"], rows)
    figures = {
        "trials": trials, "seconds": seconds, "targets": TARGETS, "report_bytes": size, "runs": asked.runs
    }  # fmt: skip
    print(f"the report has {size / 1e6:.2f} MB; written to {write_result('large_study', figures, asked.out)}")


def measure(study: LoadedStudy, trials: int, runs: int, report: Sequence[str]) -> dict[str, list[float]]:
    """Seconds of each run of everything; ``report`` are the arguments of ``search.report``."""
    which = ["--study", study.config.study, "--studies", str(study.paths.root)]
    pages = of_dashboard(which, trials, runs)
    return {
        **{name: [page[name] for page in pages] for name in pages[0]},
        "report": of_command(["search.report", *which, *report], runs),
        "status": of_command(["search.status", *which], runs),
    }


def of_command(arguments: Sequence[str], runs: int) -> list[float]:
    """Seconds of each run of a command, from the start of its process to its end."""
    seconds = []
    for _ in range(runs):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(round(time.monotonic() - begun, 2))
    return seconds


def of_dashboard(study: Sequence[str], trials: int, runs: int) -> list[dict[str, float]]:
    """Seconds until the script has run, the page can be used, and the list is there; one entry an asking."""
    command = [sys.executable, "-m", "search.dashboard", *study, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        printed = server.stdout.readline().strip() if server.stdout is not None else ""
        address = printed.removesuffix("/note")  # The page of the history, which takes the longest.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            return [_open_page(browser, address, trials) for _ in range(runs)]
        finally:
            browser.close()
            server.terminate()


def _open_page(browser: Browser, address: str, trials: int) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    begun = time.monotonic()
    page.goto(address)
    ran = time.monotonic() - begun
    # Plots are drawn without trials first; the browser answers once all of them are drawn with.
    page.wait_for_function(f"document.querySelectorAll('#plot-history .point').length >= {trials}")
    drawn = time.monotonic() - begun
    page.locator(f"a[href='{address[address.index('/dashboard') :]}/trials']").click()
    page.get_by_text(f"{trials:,} Trials".replace(",", "")).wait_for()
    listed = time.monotonic() - begun
    context.close()
    return {"script": round(ran, 2), "dashboard": round(drawn, 2), "list": round(listed, 2)}


def add_trials(study: LoadedStudy, count: int) -> int:
    """Put so many made-up trials behind the real one; how many there are then."""
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
    metric = study.config.metric
    for frozen in study.optuna.get_trials()[1:]:
        trial = Trial(study.optuna, frozen._trial_id)
        state = "pruned" if frozen.state == TrialState.PRUNED else "finished"
        (name,) = (
            key.removeprefix(ARTIFACT_PREFIX)
            for key in frozen.system_attrs
            if key.startswith(ARTIFACT_PREFIX)
        )
        picture = {"curves": f"/artifacts/{study.study_id}/{frozen._trial_id}/{name}"}
        note = trial_note(trial, state, "Made up.", frozen.value, metric, picture)
        write_note(study.storage, study.study_id, note, frozen._trial_id)
    return len(study.optuna.get_trials(deepcopy=False))


def _made_up(
    real: FrozenTrial, trial: optuna.Trial, params: dict[str, Any], chance: random.Random, *, pruned: bool
) -> FrozenTrial:
    top = 0.9 + 0.02 * params["blocks"] - 0.05 * params["dropout"] + 0.03 * chance.random()
    epochs = 3 if pruned else EPOCHS
    curve = [top - 0.4 / (epoch + 1) for epoch in range(epochs)]
    meta = ArtifactMeta(str(uuid.uuid4()), CURVES, "image/png", None)
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
        system_attrs={f"{ARTIFACT_PREFIX}{meta.artifact_id}": json.dumps(dataclasses.asdict(meta))},
    )


if __name__ == "__main__":
    main()
