"""The check before the runs: what is there to win on the side of the users?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from hgr_tf.comparing.config import CompareConfig
from hgr_tf.comparing.figures import Predictions, figures
from hgr_tf.comparing.one_run import load_predictions, run_folder, run_once
from hgr_tf.comparing.predicting import chosen_head
from hgr_tf.result_files import plain, write_text
from hgr_tf.training.config import RunConfig

FILE = "pre_check.json"
_METRICS = ("gauc", "log_loss")


def pre_check(
    config: CompareConfig,
    output: Path,
    found: dict[str, dict[str, Any]],
    pool: Executor,
) -> dict[str, Any]:
    """Trains the baseline with its first two seeds, and permutes what it learned.

    The runs are those of the comparison and are not repeated. What is found is kept
    in pre_check.json.

    Args:
        config: Config of the comparison.
        output: Its folder.
        found: What the search found for each method.
        pool: Processes for the runs.

    Returns:
        "seeds": see `seed_spread`; "importance": for the user embedding and each
        feature "gauc_drops" and "log_loss_rises" of the permutations, with their
        means and spreads; "users": a sentence that says what there is to win.
    """
    folders = [run_folder(output, config.baseline, seed) for seed in config.seeds[:2]]
    runs = [
        config.run(config.baseline, seed, **found[config.baseline])
        for seed in config.seeds[:2]
    ]
    asked = {
        "runs": [run.model_dump(mode="json") for run in runs],
        "settings": config.pre_check.model_dump(mode="json"),
        "split": config.split,
        **({"head": config.head} if config.head else {}),
        "smallest_gain": config.smallest_gain,
    }
    kept = output / FILE
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["asked"] == asked:
            return before
    waiting = [
        pool.submit(run_once, run, folder, config.split, config.head)
        for run, folder in zip(runs, folders, strict=True)
    ]
    for future in waiting:
        future.result()
    settings = config.pre_check
    importance: dict[str, Any] = {}
    if settings.permutations:
        importance = pool.submit(
            importance_of,
            folders[0],
            config.split,
            settings.features,
            settings.permutations,
            config.head,
        ).result()
    trained = RunConfig.load(folders[0] / "config.yaml")
    layer = trained.method.user_embedding
    own = importance.get(layer) if layer else None
    result = plain(
        {
            "asked": asked,
            "seeds": seed_spread([load_predictions(folder) for folder in folders]),
            "importance": importance,
            "users": own and what_users_give(own, config.smallest_gain),
        }
    )
    write_text(kept, json.dumps(result, indent=1) + "\n")
    return result


def importance_of(
    folder: str | Path,
    split: str,
    features: Sequence[str] | None,
    permutations: int,
    head: str | None = None,
) -> dict[str, dict[str, Any]]:
    """What the user embedding and features are worth to a finished run.

    A ranker without a layer of its config's `user_embedding` is judged by its
    features alone.

    Args:
        folder: Folder of the run.
        split: Split of its data to permute.
        features: Names of features; None for all of the spec.
        permutations: How many times each is permuted.
        head: Which of several heads; the first by default.
    """
    from hgr_tf.data import PreparedData
    from hgr_tf.models.ranker_halves import halves_of
    from hgr_tf.training import load_run, permutables, permutation_importance
    from hgr_tf.training.one_head import only_head

    run = load_run(folder)
    heads = run.model.heads
    head = chosen_head(heads, head, "`head`")
    data = PreparedData.load(run.config.data.path)
    spec = run.encoding.spec
    if features is None:
        features = [feature.name for feature in spec.served_features()]
    layer: str | None = run.config.method.user_embedding
    try:
        halves_of(run.model.ranker, layer)
    except ValueError:
        layer = None
    with data.errors():
        lost = permutation_importance(
            run.model.ranker,
            only_head(data.dataset(split, 8192), head, heads, run.model.given),
            user_embedding=layer,
            features=permutables(spec, features),
            from_logits=run.config.method.from_logits,
            permutations=permutations,
            head=head,
        )
    return {
        name: {
            **one._asdict(),
            "gauc_drop": one.gauc_drop,
            "gauc_spread": one.gauc_spread,
            "log_loss_rise": one.log_loss_rise,
            "log_loss_spread": one.log_loss_spread,
        }
        for name, one in lost.of.items()
    }


def what_users_give(own: dict[str, Any], smallest_gain: float) -> str:
    """One sentence: is the user embedding a taste or a bias?

    Args:
        own: What `importance_of` says of the user embedding.
        smallest_gain: GAUC worth having.
    """
    drops = own["gauc_drops"]
    least, most = min(drops), max(drops)
    change = (
        f"with the user embeddings of other users GAUC falls by {least:+.4f} to "
        f"{most:+.4f} and LogLoss rises by {own['log_loss_rise']:+.4f}"
    )
    if most < smallest_gain:
        return (
            "Your user embedding is a bias: a user-side loss cannot move GAUC here: "
            f"{change}."
        )
    if least >= smallest_gain:
        return (
            "Your user embedding seems to hold taste, which a user-side loss may "
            f"improve: {change}."
        )
    return f"Whether your user embedding holds taste is not clear: {change}."


def seed_spread(own: Sequence[Predictions]) -> dict[str, float]:
    """What seeds alone make: of one run, and of the mean of two.

    Returns:
        "gauc" and "log_loss": the largest less the smallest; with two seeds or more
        "ensemble_gauc" and "ensemble_log_loss": how much the mean of the first two
        runs' probabilities gains over the mean of their figures.
    """
    values = [figures(predictions) for predictions in own]
    spread = {
        metric: float(np.ptp([value[metric] for value in values]))
        for metric in _METRICS
    }
    if len(own) > 1:
        both = (own[0].probabilities + own[1].probabilities) / 2
        ensemble = figures(own[0]._replace(probabilities=both))
        for metric in _METRICS:
            single = (values[0][metric] + values[1][metric]) / 2
            spread[f"ensemble_{metric}"] = ensemble[metric] - single
    return spread
