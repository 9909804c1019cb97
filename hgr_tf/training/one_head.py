"""One head's view of batches whose labels are those of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hgr_tf.models.heads import ONE_OUTPUT, targets_of


def only_head(
    batches: Any,
    head: str,
    heads: Sequence[str],
    given: Mapping[str, str] | None = None,
) -> Any:
    """Batches with the labels and weights of one head alone.

    Args:
        batches: A `tf.data.Dataset` of (inputs, labels[, weights]), the labels by head.
        head: Name of the head; "" of a ranker with one output.
        heads: Names of all heads.
        given: Head -> the head whose label must be positive.

    Returns:
        A dataset of (inputs, labels, weights), in which rows that the head is not
        judged on weigh 0; the batches as they came for a ranker with one output.
    """
    if tuple(heads) == ONE_OUTPUT:
        return batches

    def pick(inputs: Any, labels: Any, weights: Any = None) -> Any:
        labels, weights = targets_of(labels, weights, heads, given)
        return inputs, labels[head], weights[head]

    return batches.map(pick)
