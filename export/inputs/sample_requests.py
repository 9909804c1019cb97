"""SampleRequests: random raw requests that an encoding makes sense of."""

from __future__ import annotations

from collections.abc import Collection, MutableMapping

import numpy as np
import tensorflow as tf

from hgr_tf.features import Feature, FeatureEncoding


class SampleRequests:
    """Draws raw values: vocabulary values, unseen ones and missing ones.

    For warm-up, load tests and comparisons; not a model of real traffic.

    Args:
        encoding: What the values are drawn from.
        names: Features to draw; those made of others are none of a request.
        seed: Seed of the draws.
    """

    def __init__(
        self, encoding: FeatureEncoding, names: Collection[str], seed: int = 0
    ):
        self._encoding = encoding
        features = encoding.spec.request_features()
        self._features = [f for f in features if f.name in names]
        self._random = np.random.default_rng(seed)

    def raw(self, rows: int) -> dict[str, np.ndarray]:
        """Inputs of `serving_default`: [rows] by feature name."""
        return {f.name: self._values(f, (rows,)) for f in self._features}

    def rank(self, requests: int, items: int) -> dict[str, np.ndarray]:
        """Inputs of `rank`: item features [requests, items], others [requests]."""
        return {
            f.name: self._values(
                f, (requests, items) if f.owner == "item" else (requests,)
            )
            for f in self._features
        }

    def examples(self, rows: int) -> list[tf.train.Example]:
        """tf.Examples of raw values; missing ones are left out."""
        examples = [tf.train.Example() for _ in range(rows)]
        for feature in self._features:
            for example, value in zip(
                examples, self._values(feature, (rows,)), strict=True
            ):
                _add(example.features.feature, feature, value)
        return examples

    def _values(self, feature: Feature, shape: tuple[int, ...]) -> np.ndarray:
        learned = self._encoding.learned(feature.name)
        return feature.transform.sample(self._random, shape, learned)


def _add(
    slots: MutableMapping[str, tf.train.Feature], feature: Feature, value: object
) -> None:
    """Puts a raw value among a tf.Example's features; a missing one is left out."""
    dtype, values = feature.transform.dtype, feature.transform.to_example(value)
    if not values:
        return
    if dtype == "float32":
        slots[feature.name].float_list.value.extend(values)
    elif dtype == "int64":
        slots[feature.name].int64_list.value.extend(int(v) for v in values)
    else:
        slots[feature.name].bytes_list.value.extend(str(v).encode() for v in values)
