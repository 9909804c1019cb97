"""Feature columns become what the model sees: ids or float32 numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import pyarrow as pa

from hgr_tf.features import Feature, FeatureEncoding
from hgr_tf.features.kind import Arrays


class FeatureEncoder:
    """Encodes columns of one feature under a `FeatureEncoding`."""

    def __init__(self, feature: Feature, encoding: FeatureEncoding):
        self.feature = feature
        self._learned = encoding.learned(feature.name)

    @cached_property
    def _encode(self) -> Callable[[pa.Array], Arrays]:
        return self.feature.transform.encoder(self._learned)

    def __call__(self, column: pa.Array) -> dict[str, pa.Array]:
        """Encodes `[n]` typed values; an array for each of the feature's inputs."""
        return dict(zip(self.feature.inputs, self._encode(column), strict=True))
