"""The last layers of rankers with several heads: a tower and a logit for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hgr_tf.features import FeatureEncoding
from hgr_tf.features.labels import Label
from hgr_tf.rankers.embedded_features import dense_layers, logit

if TYPE_CHECKING:
    from keras import KerasTensor


def labels_of(encoding: FeatureEncoding) -> dict[str, Label]:
    """The labels of the spec, each of which gets a head.

    Raises:
        ValueError: It has a single `label`.
    """
    if not encoding.spec.labels:
        raise ValueError(
            "a ranker with several heads needs the spec's `labels`, got a spec with "
            f"`label: {encoding.spec.label.column}`"
        )
    return encoding.spec.labels


def head_logits(
    vectors: Mapping[str, KerasTensor],
    tower_units: Sequence[int],
    dropout: float = 0.0,
) -> dict[str, KerasTensor]:
    """A tower of dense ReLU layers for each head, and its logit, [batch, 1].

    Names of heads and features hold no ".", which keeps names of layers apart.

    Args:
        vectors: What each head sees, [batch, dim].
        tower_units: Units of the layers of each tower.
        dropout: Share of a tower's hidden units dropped in training.
    """
    return {
        head: logit(
            dense_layers(x, tower_units, f"{head}.tower", dropout), f"{head}.logits"
        )
        for head, x in vectors.items()
    }
