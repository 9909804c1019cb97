"""Side towers of the features that only training knows, beside any ranker."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import tensorflow as tf

from hgr_tf.features import FeatureEncoding
from hgr_tf.functional.graph import output_of
from hgr_tf.layers.side_tower import SideTower

_Build = TypeVar("_Build", bound=Callable[..., tf.keras.Model])


def debiased(build: _Build) -> _Build:
    """Makes a function that builds rankers add their side towers.

    Example:
        >>> @debiased
        ... def my_ranker(encoding, units=(64,)):
        ...     ...  # a functional model of `encoding.spec.served_features()`
    """

    @functools.wraps(build)
    def with_towers(
        encoding: FeatureEncoding, *args: Any, **kwargs: Any
    ) -> tf.keras.Model:
        return with_side_towers(build(encoding, *args, **kwargs), encoding)

    return cast(_Build, with_towers)


def with_side_towers(
    ranker: tf.keras.Model, encoding: FeatureEncoding
) -> tf.keras.Model:
    """Adds a `SideTower` to each logit for each `training_only` feature of the spec.

    Args:
        ranker: A functional model over a dict of the other features, giving logits
            [batch, 1], or a dict of them by head.
        encoding: Encoding of its features.

    Returns:
        A model over all features; the ranker itself where the spec names none.

    Raises:
        ValueError: Training does not know the value that stands for a feature.
    """
    spec = encoding.spec
    if not spec.training_only:
        return ranker
    inputs, outputs = dict(ranker.input), output_of(ranker)
    for name in spec.training_only:
        feature = spec.feature(name)
        ((key, form),) = feature.inputs.items()
        # Names of heads and features hold no ".".
        inputs[key] = tf.keras.Input(form.shape, name=key, dtype=form.dtype)
        tower = functools.partial(
            SideTower,
            encoding.num_ids(name) if feature.transform.is_categorical else None,
            encoding.constant_of(name),
        )
        if isinstance(outputs, dict):
            outputs = {
                head: tower(name=f"side_tower.{head}.{name}")(logits, inputs[key])
                for head, logits in outputs.items()
            }
        else:
            outputs = tower(name=f"side_tower.{name}")(outputs, inputs[key])
    return tf.keras.Model(inputs, outputs, name=ranker.name)
