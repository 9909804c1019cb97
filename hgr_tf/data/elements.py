"""What training gets of a batch: features, labels and weights."""

from __future__ import annotations

import math
from typing import TypeAlias

import tensorflow as tf

from hgr_tf.features import LABEL, WEIGHT, FeatureSpec
from hgr_tf.features.keys import label_key, weight_key

_Tensors: TypeAlias = dict[str, tf.Tensor]

Element: TypeAlias = (
    tuple[_Tensors, tf.Tensor]
    | tuple[_Tensors, tf.Tensor, tf.Tensor]
    | tuple[_Tensors, _Tensors, _Tensors]
)


def element_of(columns: _Tensors, spec: FeatureSpec) -> Element:
    """Splits the columns of a batch; see `PreparedData.dataset` for the result.

    Args:
        columns: Name -> [B] or [B, size], those of labels and weights among them.
        spec: Says which labels there are.
    """
    features = dict(columns)
    of_row = [features.pop(WEIGHT)] if WEIGHT in features else []
    if not spec.labels:
        label = features.pop(LABEL)
        return (features, label, of_row[0]) if of_row else (features, label)
    labels = {name: features.pop(label_key(name)) for name in spec.labels}
    weights = {}
    for name, rule in spec.labels.items():
        own = [features.pop(weight_key(name))] if rule.weight else []
        weights[name] = math.prod([*of_row, *own], start=tf.ones_like(labels[name]))
    return features, labels, weights
