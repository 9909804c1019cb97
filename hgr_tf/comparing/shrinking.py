"""Chooses how strongly a table is shrunk on half of a split, measured on the other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from hgr_tf.comparing.calibrating import FEWEST_USERS, deal_halves
from hgr_tf.comparing.figures import Predictions, figures, log_loss_by_user, mean_of
from hgr_tf.comparing.predicting import predict_heads
from hgr_tf.result_files import plain
from hgr_tf.training.shrinkage import (
    TableShrinkage,
    assign_shrunk,
    first_value,
    table_of,
)

log = logging.getLogger(__name__)

TAUS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""What is tried by default."""

FIGURES = ("pcoc", "ece", "log_loss", "gauc", "auc")
"""What is measured."""


def shrink(
    model: Any,
    data: Any,
    split: str,
    feature: str,
    counts: np.ndarray,
    *,
    taus: Sequence[float] = TAUS,
    batch_size: int = 8192,
    from_logits: bool = True,
    seed: int = 0,
) -> TableShrinkage:
    """Chooses the tau of a feature's table; the model is left as it was.

    Half of the users choose by the LogLoss, summed over the heads, and the rows of the
    other users measure. With fewer than `FEWEST_USERS` users the rows are dealt.

    Args:
        model: A trained model, whose tables are as they were trained.
        data: The `hgr_tf.data.PreparedData`.
        split: Name of a split that the model was not trained on.
        feature: Name of the feature.
        counts: [ids] how often training saw each of its ids.
        taus: What to choose from, beside 0; a single one is taken as it is.
        batch_size: Rows per step; only speed depends on it.
        from_logits: Whether the ranker gives logits rather than probabilities.
        seed: Seed of the halves.

    Raises:
        ValueError: A tau is negative, the feature has no table in the ranker, or a
            head has no weighted row in the half that chooses.
    """
    if not taus or not all(0 <= tau < np.inf for tau in taus):
        raise ValueError(f"--tau must be numbers of at least 0, got {list(taus)}")
    layer = table_of(model.ranker, data.encoding, feature)
    first = first_value(data.encoding, feature)
    trained = np.array(layer.embeddings)
    tried: dict[float, float] = {}
    measured: dict[float, dict[str, dict[str, float | None]]] = {}
    halves: Literal["users", "rows"] = "users"
    for tau in sorted({0.0, *map(float, taus)}):
        log.info("predicting %r with tau %g", split, tau)
        try:
            assign_shrunk(layer, counts, tau, first)
            found = predict_heads(model, data, split, [], batch_size, from_logits)
        finally:
            layer.embeddings.assign(trained)
        rows = {head: one.predictions for head, one in found.items()}
        halves, choosing = _halves(rows, seed)
        chosen_by = {head: _part(rows[head], choosing[head]) for head in rows}
        _check_weighted(chosen_by, split)
        tried[tau] = sum(mean_of(log_loss_by_user(own)) for own in chosen_by.values())
        measured[tau] = {
            head: _figures(_part(rows[head], ~choosing[head])) for head in rows
        }
    chosen = min(tried, key=lambda tau: (tried[tau], tau))
    tau = float(taus[0]) if len(taus) == 1 else chosen
    return TableShrinkage(
        tau=tau,
        tried=tried,
        split=split,
        seed=seed,
        halves=halves,
        before=measured[0.0],
        after=measured[tau],
    )


def _halves(
    rows: Mapping[str, Predictions], seed: int
) -> tuple[Literal["users", "rows"], dict[str, np.ndarray]]:
    """What was dealt to the two halves, and which rows of each head choose."""
    users = np.unique(np.concatenate([own.users for own in rows.values()]))
    if len(users) < FEWEST_USERS:
        return "rows", {head: deal_halves(r.users, seed)[1] for head, r in rows.items()}
    halves, chosen = deal_halves(users, seed)
    return halves, {head: np.isin(r.users, users[chosen]) for head, r in rows.items()}


def _check_weighted(rows: Mapping[str, Predictions], split: str) -> None:
    for head, own in rows.items():
        if not own.weights.any():
            of_head = f" for the head {head!r}" if head else ""
            raise ValueError(
                f"the half of {split!r} that chooses tau must have rows with a weight"
                f"{of_head}, got none: choose another --split or --seed"
            )


def _part(rows: Predictions, inside: np.ndarray) -> Predictions:
    return Predictions(*(column[inside] for column in rows))


def _figures(rows: Predictions) -> dict[str, float | None]:
    found = figures(rows)
    return plain({name: found[name] for name in FIGURES})
