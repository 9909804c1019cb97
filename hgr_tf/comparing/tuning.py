"""The search that every method gets alike, by Optuna."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import optuna

from hgr_tf.comparing.config import CompareConfig, Range
from hgr_tf.comparing.one_run import run_once

STORAGE = "tuning.db"


def tune(config: CompareConfig, method: str, folder: str | Path) -> dict[str, Any]:
    """Searches the values of `config.tuning.space` for one method.

    The search is kept in a file of the folder and goes on from there; equal seeds
    give equal searches. Every trial trains with the first seed and is judged on
    the validation split.

    Args:
        config: Config of the comparison.
        method: Name of a method.
        folder: Holds tuning.db, and the runs of the trials while they last.

    Returns:
        The best values by field; {} without trials.
    """
    tuning = config.tuning
    if not tuning.trials:
        return {}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STORAGE}",
        study_name=method,
        load_if_exists=True,
        direction="maximize" if tuning.metric == "gauc" else "minimize",
        sampler=optuna.samplers.TPESampler(seed=config.seeds[0]),
    )

    def objective(trial: optuna.Trial) -> float:
        values = {n: _suggest(trial, n, where) for n, where in tuning.space.items()}
        run = config.run(method, config.seeds[0], **values)
        trial_folder = folder / f"trial-{trial.number}"
        result = run_once(run, trial_folder, run.data.validation, config.head)
        shutil.rmtree(trial_folder)
        return float(result["figures"][tuning.metric])

    done = sum(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials)
    study.optimize(objective, n_trials=max(tuning.trials - done, 0))
    return dict(study.best_params)


def _suggest(trial: optuna.Trial, name: str, where: Range | tuple[Any, ...]) -> Any:
    if isinstance(where, Range):
        return trial.suggest_float(name, where.low, where.high, log=where.log)
    return trial.suggest_categorical(name, where)
