"""The heads of a ranker: its outputs, and what each is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from hgr_tf.flat_inputs import flat_float
from hgr_tf.functional.graph import is_functional, output_of

ByHead: TypeAlias = tf.Tensor | Mapping[str, tf.Tensor] | None
"""A tensor of the one output of a ranker, or one for each of several heads."""

ONE_OUTPUT = ("",)
"""The heads of a ranker with one output: a head without a name."""


def heads_of(ranker: tf.keras.Model) -> tuple[str, ...]:
    """Names of a ranker's heads, in the order of its dict of outputs.

    A ranker whose output is one tensor has a single head without a name. So has one
    that is not functional, as its outputs are not known.
    """
    output = output_of(ranker) if is_functional(ranker) else None
    return tuple(output) if isinstance(output, dict) else ONE_OUTPUT


def by_head(values: ByHead) -> dict[str, Any]:
    """Values by the name of their head; those of a single output have none."""
    return dict(values) if isinstance(values, dict) else {ONE_OUTPUT[0]: values}


def of_head(head: str, name: str) -> str:
    """The name of a figure of a head, such as "click/auc"; "auc" of a single output."""
    return f"{head}/{name}" if head else name


def logits_of(
    outputs: ByHead, from_logits: bool, heads: Sequence[str] = ONE_OUTPUT
) -> ByHead:
    """A ranker's outputs, logits or probabilities, as float32 logits [batch].

    Raises:
        ValueError: `outputs` are not those of the heads.
    """
    convert = flat_float if from_logits else _logits_of_probabilities
    if not isinstance(outputs, dict):
        return convert(outputs)
    if set(outputs) != set(heads):
        raise ValueError(
            "a ranker with a dict of outputs must be a functional Keras model, got one "
            f"that is not, with outputs {sorted(outputs)}"
        )
    return {head: convert(outputs[head]) for head in heads}


def targets_of(
    labels: ByHead,
    weights: ByHead,
    heads: Sequence[str],
    given: Mapping[str, str] | None = None,
) -> tuple[ByHead, ByHead]:
    """The labels and the weights that each head is trained and judged on.

    Args:
        labels: A tensor, or with several heads a dict with one for each.
        weights: As the labels, or one tensor or None for all heads.
        heads: Names of the heads; see `heads_of`.
        given: Head -> the head whose label must be positive: where it is not, the
            rows of the first weigh 0.

    Returns:
        Labels and weights as they came for a single output; else a dict of each.

    Raises:
        ValueError: `labels` are not those of the heads, or `weights` has others.
    """
    if tuple(heads) == ONE_OUTPUT:
        if isinstance(labels, dict):
            raise ValueError(
                "labels must be a tensor, as the ranker has one output, got a dict of "
                f"{sorted(labels)}"
            )
        return labels, weights
    missing = set(heads) - set(labels if isinstance(labels, dict) else ())
    if missing:
        found = sorted(labels) if isinstance(labels, dict) else type(labels).__name__
        raise ValueError(
            f"labels must be a dict of the ranker's heads {list(heads)}, got {found}"
        )
    if not isinstance(weights, dict):
        weights = dict.fromkeys(heads, weights)
    unknown = sorted(set(weights) - set(heads))
    if unknown:
        raise ValueError(
            f"weights must go by the ranker's heads {list(heads)}, got {unknown}"
        )
    weighed = {head: weights.get(head) for head in heads}
    for head, other in (given or {}).items():
        weighed[head] = _where_positive(by_head(labels)[other], weighed[head])
    return {head: by_head(labels)[head] for head in heads}, weighed


def _logits_of_probabilities(probabilities: tf.Tensor) -> tf.Tensor:
    clipped = tf.clip_by_value(flat_float(probabilities), 1e-7, 1 - 1e-7)
    return tf.math.log(clipped) - tf.math.log1p(-clipped)


def _where_positive(labels: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Weights [batch], but 0 where the label is not above 0."""
    is_positive = flat_float(labels) > 0
    if weights is None:
        return tf.cast(is_positive, tf.float32)
    return tf.where(is_positive, flat_float(weights), 0.0)
