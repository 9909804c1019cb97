"""What a trained model says of every row of a split, for each of its heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hgr_tf.comparing.figures import Predictions


class HeadRows(NamedTuple):
    """The rows that one head is judged on, and what it says of them.

    Attributes:
        predictions: The rows.
        inputs: Some inputs of the model, [rows, ...] by name.
    """

    predictions: Predictions
    inputs: dict[str, np.ndarray]


def predict_heads(
    model: Any,
    data: Any,
    split: str,
    inputs_kept: Sequence[str],
    batch_size: int = 8192,
    from_logits: bool = True,
) -> dict[str, HeadRows]:
    """Predicts a split.

    Args:
        model: The trained model; its `ranker` is asked.
        data: The `hgr_tf.data.PreparedData`.
        split: Name of a split.
        inputs_kept: Names of the model's inputs to return for each row.
        batch_size: Rows per step; only speed depends on it.
        from_logits: Whether the ranker gives logits rather than probabilities.

    Returns:
        The rows of each head by its name, "" for a ranker with one output. A head that
        is `given` another label has the rows where that one is positive.

    Raises:
        ValueError: There are none.
    """
    import tensorflow as tf

    from hgr_tf.features import USER
    from hgr_tf.models.heads import by_head

    @tf.function(reduce_retracing=True)
    def outputs(inputs: Any) -> Any:
        found = by_head(model.ranker(inputs, training=False))
        return {head: tf.reshape(values, [-1]) for head, values in found.items()}

    def probabilities(values: Any) -> Any:
        values = tf.cast(values, tf.float64)
        return tf.sigmoid(values) if from_logits else values

    given = model.given or {}
    parts: dict[str, list[HeadRows]] = {head: [] for head in model.heads}
    for inputs, some_labels, *some_weights in data.dataset(split, batch_size):
        ranked = {name: value for name, value in inputs.items() if name != USER}
        found, labels = outputs(ranked), by_head(some_labels)
        weights = by_head(some_weights[0]) if some_weights else {}
        kept = {name: inputs[name].numpy() for name in inputs_kept}
        for head, own in parts.items():
            inside: Any = slice(None)
            if head in given:
                inside = labels[given[head]].numpy() > 0
            own_labels = labels[head].numpy().astype(float)
            columns = (
                inputs[USER].numpy(),
                own_labels,
                weights[head].numpy().astype(float)
                if head in weights
                else np.ones(len(own_labels)),
                probabilities(found[head]).numpy(),
            )
            own.append(
                HeadRows(
                    Predictions(*(column[inside] for column in columns)),
                    {name: values[inside] for name, values in kept.items()},
                )
            )
    joined = {head: _joined(own) for head, own in parts.items()}
    for head, other in given.items():
        if not len(joined[head].predictions.users):
            raise ValueError(
                f"{head!r} must have rows in {split!r} where {other!r} is positive, "
                "got none"
            )
    return joined


def judged_on(model: Any, head: str) -> str:
    """The rows that a model's head is judged on, in words."""
    given = (model.given or {}).get(head)
    return "all rows" if given is None else f"rows where {given!r} is positive"


def chosen_head(
    heads: Sequence[str], wanted: str | None, argument: str = "--head"
) -> str:
    """The head that is wanted, or else the first.

    Args:
        heads: Names of a ranker's heads; "" for a single output.
        wanted: Name of one of them, or None.
        argument: What errors call it.

    Raises:
        ValueError: There is no such head.
    """
    if wanted is None:
        return heads[0]
    if wanted not in heads:
        there = f"{list(heads)}" if heads[0] else "one output without a name"
        raise ValueError(
            f"{argument} must be a head of the ranker, which has {there}, "
            f"got {wanted!r}"
        )
    return wanted


def history_of(
    history: Sequence[dict[str, float]], head: str
) -> list[dict[str, float]]:
    """Epochs with the figures of one head by the names of a single output's."""
    of_head = f"{head}/"
    return [
        {name.replace(of_head, "", 1): value for name, value in epoch.items()}
        if head
        else epoch
        for epoch in history
    ]


def _joined(parts: Sequence[HeadRows]) -> HeadRows:
    predictions = zip(*(part.predictions for part in parts), strict=True)
    names = parts[0].inputs
    return HeadRows(
        Predictions(*map(np.concatenate, predictions)),
        {name: np.concatenate([part.inputs[name] for part in parts]) for name in names},
    )
