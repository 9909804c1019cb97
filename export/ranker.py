"""Which ranker a model holds, which inputs it takes, and whether it gives logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.calibration.calibration import Calibration
from hgr_tf.features import FeatureEncoding
from hgr_tf.functional.final_activation import ends_in_sigmoid
from hgr_tf.functional.graph import is_functional

if TYPE_CHECKING:
    from keras import KerasTensor


def ranker_of(model: tf.keras.Model) -> tf.keras.Model:
    """The ranker inside a model, or the model itself.

    Raises:
        ValueError: `model` is no Keras model.
    """
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
    ranker = ranker_of(model)
    for owner in (model, ranker):
        if getattr(owner, "from_logits", None) is not None:
            return bool(owner.from_logits)
    return not ends_in_sigmoid(ranker)


def as_logits(outputs: tf.Tensor, from_logits: bool) -> tf.Tensor:
    """Logits [B] of a ranker's outputs [B, 1], logits themselves or probabilities."""
    outputs = tf.reshape(tf.cast(outputs, tf.float32), [-1])
    return outputs if from_logits else tf.math.log(outputs) - tf.math.log1p(-outputs)


def input_tensors(ranker: tf.keras.Model) -> dict[str, KerasTensor]:
    """The symbolic inputs of a functional ranker, by name."""
    if isinstance(ranker.input, Mapping):
        return dict(ranker.input)
    return dict(zip(ranker.input_names, ranker.inputs, strict=True))


def feature_names(ranker: tf.keras.Model, encoding: FeatureEncoding) -> list[str]:
    """Names of the features that a ranker takes, and of those that they are made of.

    Raises:
        ValueError: The ranker has an input that is no feature of the spec.
    """
    features = list(encoding.spec.features())
    if not is_functional(ranker):
        return [feature.name for feature in features]
    inputs = set(input_tensors(ranker))
    unknown = inputs.difference(*(feature.inputs for feature in features))
    if unknown:
        raise ValueError(
            "the ranker's inputs must be features of the spec "
            f"{encoding.spec.name!r}, got {sorted(unknown)}"
        )
    taken = [feature for feature in features if inputs & set(feature.inputs)]
    read = {name for feature in taken for name in feature.reads}
    return [f.name for f in features if f in taken or f.name in read]


def check_calibration(ranker: tf.keras.Model, calibration: Calibration | None) -> None:
    """Checks that a ranker takes what its calibration looks at.

    Raises:
        ValueError: It does not.
    """
    if calibration is None or not is_functional(ranker):
        return
    lacking = set(calibration.inputs) - set(input_tensors(ranker))
    if lacking:
        raise ValueError(
            f"the calibration is by {sorted(lacking)}, which the ranker must take; "
            f"got a ranker of {sorted(input_tensors(ranker))}"
        )
