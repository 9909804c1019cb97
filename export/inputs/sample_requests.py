"""SampleRequests: random raw requests that an encoding makes sense of."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import tensorflow as tf

from hgr_tf.features import Feature, FeatureEncoding, HistoryList

UNSEEN_SHARE = 0.05
"""Share of the values that training never saw, and of those left out."""


class SampleRequests:
    """Draws raw values: vocabulary values, unseen ones and missing ones.

    For warm-up, load tests and comparisons; not a model of real traffic.

    Args:
        encoding: What the values are drawn from.
        names: Features to draw.
        seed: Of the draws.
    """

    def __init__(
        self, encoding: FeatureEncoding, names: Collection[str], seed: int = 0
    ):
        self._encoding = encoding
        self._features = [f for f in encoding.spec.features() if f.name in names]
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
        transform = feature.transform
        if isinstance(transform, HistoryList):
            of = self._encoding.spec.feature(transform.shares)
            return self._values(of, (*shape, transform.length))
        if transform.dtype == "float32":
            values = self._random.normal(*self._spread(feature), shape)
            values[self._random.random(shape) < UNSEEN_SHARE] = np.nan
            return values.astype(np.float32)
        if transform.is_multivalued:
            texts = [
                transform.delimiter.join(self._texts(feature, length))
                for length in self._random.integers(0, transform.max_length, shape).flat
            ]
            return np.array(texts, object).reshape(shape)
        texts = np.array(self._texts(feature, int(np.prod(shape))), object)
        if transform.dtype == "int64":
            return texts.astype(np.int64).reshape(shape)
        texts[self._random.random(len(texts)) < UNSEEN_SHARE] = ""
        return texts.reshape(shape)

    def _texts(self, feature: Feature, size: int) -> list[str]:
        known = self._encoding.vocabularies.get(feature.name) or ("0",)
        drawn = self._random.choice(np.array(known, object), size)
        unseen = self._random.random(size) < UNSEEN_SHARE
        drawn[unseen] = [
            str(n) for n in self._random.integers(2**40, size=unseen.sum())
        ]
        return drawn.tolist()

    def _spread(self, feature: Feature) -> tuple[float, float]:
        boundaries = self._encoding.boundaries.get(feature.name)
        if boundaries:
            return float(np.mean(boundaries)), float(np.std(boundaries)) + 1.0
        mean, deviation = self._encoding.moments.get(feature.name, (0.0, 1.0))
        if feature.transform.log1p:
            mean, deviation = np.expm1([min(mean, 20.0), min(deviation, 5.0)])
        return float(mean), float(deviation)


def _add(slots, feature: Feature, value) -> None:
    """Puts a raw value among a tf.Example's features, lists in parts."""
    transform, values = feature.transform, [value]
    if isinstance(transform, HistoryList):
        _add_events(slots[feature.name], value)
        return
    if transform.is_multivalued:
        values = [text for text in value.split(transform.delimiter) if text]
    if transform.dtype == "float32":
        if not np.isnan(value):
            slots[feature.name].float_list.value.append(value)
    elif transform.dtype == "int64":
        slots[feature.name].int64_list.value.extend(int(v) for v in values)
    elif any(values):
        texts = [str(v).encode() for v in values]
        slots[feature.name].bytes_list.value.extend(texts)


def _add_events(slot, values: np.ndarray) -> None:
    """Puts the raw values of events into a feature; a missing one keeps its place."""
    if values.dtype == np.float32:
        slot.float_list.value.extend(values)
    elif values.dtype == np.int64:
        slot.int64_list.value.extend(values)
    else:
        slot.bytes_list.value.extend(str(value).encode() for value in values)
