"""Which ranker a model holds, which inputs it takes, and whether it gives logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import tensorflow as tf

from hgr_tf.calibration.heads import AnyCalibration, HeadCalibrations
from hgr_tf.export.runtime.outputs import LOGITS, PROBABILITIES
from hgr_tf.export.served_ranker import served_ranker
from hgr_tf.features import FeatureEncoding
from hgr_tf.functional.final_activation import ends_in_sigmoid
from hgr_tf.functional.graph import input_tensors, is_functional
from hgr_tf.models.heads import heads_of

Outputs: TypeAlias = tf.Tensor | dict[str, tf.Tensor]
"""A tensor of a ranker with one output, or one for each of its heads by name."""


def ranker_of(model: tf.keras.Model) -> tf.keras.Model:
    """The ranker that a model serves with: what it holds as `ranker`, or itself.

    Side towers, which are for training alone, are taken off.

    Raises:
        ValueError: `model` is no Keras model.
    """
    return served_ranker(_held_ranker(model))


def _held_ranker(model: tf.keras.Model) -> tf.keras.Model:
    ranker = getattr(model, "ranker", model)
    if not isinstance(ranker, tf.keras.Model):
        raise ValueError(
            "`model` must be a Keras model, or hold one as `ranker`; "
            f"got {type(model).__name__}"
        )
    return ranker


def gives_logits(model: tf.keras.Model) -> bool:
    """Whether the ranker of a model gives logits rather than probabilities.

    The `from_logits` of the model or of its ranker says so. Without one it
    gives logits unless it is functional and ends in a sigmoid.
    """
    for owner in (model, _held_ranker(model)):
        if getattr(owner, "from_logits", None) is not None:
            return bool(owner.from_logits)
    return not ends_in_sigmoid(ranker_of(model))


def head_names(ranker: tf.keras.Model) -> tuple[str, ...]:
    """Names of a ranker's heads; none of one that has a single output.

    Raises:
        ValueError: A head has the name of an output that every export may have.
    """
    heads = tuple(filter(None, heads_of(ranker)))
    for name in (PROBABILITIES, LOGITS):
        if name in heads:
            raise ValueError(f"a head must have another name than {name!r}")
    return heads


def each_head(function: Callable[[tf.Tensor], tf.Tensor], outputs: Any) -> Outputs:
    """Applies a function to the output of a ranker, or to that of each head."""
    if isinstance(outputs, Mapping):
        return {head: function(output) for head, output in outputs.items()}
    return function(outputs)


def as_logits(outputs: tf.Tensor, from_logits: bool) -> tf.Tensor:
    """Logits [B] of an output [B, 1] of logits, or of probabilities."""
    outputs = tf.reshape(tf.cast(outputs, tf.float32), [-1])
    return outputs if from_logits else tf.math.log(outputs) - tf.math.log1p(-outputs)


def feature_names(ranker: tf.keras.Model, encoding: FeatureEncoding) -> list[str]:
    """Names of the features that a ranker takes, and of those that they are made of.

    Raises:
        ValueError: The ranker has an input that is no feature of the spec, or one
            that only training knows.
    """
    features = list(encoding.spec.served_features())
    if not is_functional(ranker):
        return [feature.name for feature in features]
    inputs = set(input_tensors(ranker))
    if hidden := sorted(inputs & set(encoding.spec.training_only)):
        raise ValueError(
            "the ranker must look at features that only training knows in a SideTower "
            f"alone, got {hidden} among its other inputs"
        )
    unknown = inputs.difference(*(feature.inputs for feature in features))
    if unknown:
        raise ValueError(
            "the ranker's inputs must be features of the spec "
            f"{encoding.spec.name!r}, got {sorted(unknown)}"
        )
    taken = [feature for feature in features if inputs & set(feature.inputs)]
    read = {name for feature in taken for name in feature.reads}
    return [f.name for f in features if f in taken or f.name in read]


def check_calibration(
    ranker: tf.keras.Model, calibration: AnyCalibration | None
) -> None:
    """Checks that a calibration is of a ranker's heads, and what it looks at is there.

    Raises:
        ValueError: It is not.
    """
    if calibration is None:
        return
    heads = head_names(ranker)
    of = list(calibration.heads) if isinstance(calibration, HeadCalibrations) else []
    if bool(heads) != bool(of) or not set(of) <= set(heads):
        raise ValueError(
            "the calibration must be of the ranker's heads, "
            f"{list(heads) or 'one without a name'}; got {of or 'one without a name'}"
        )
    if not is_functional(ranker):
        return
    lacking = set(calibration.inputs) - set(input_tensors(ranker))
    if lacking:
        raise ValueError(
            f"the calibration is by {sorted(lacking)}, which the ranker must take; "
            f"got a ranker of {sorted(input_tensors(ranker))}"
        )
