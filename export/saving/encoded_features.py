"""EncodedFeatures: the ranker's own inputs, taken as they are."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from hgr_tf.functional.graph import input_tensors


class EncodedFeatures(tf.Module):
    """Stands in for `RawFeatures` where no preprocessing is wanted.

    Args:
        ranker: Functional model over a dict of inputs.
    """

    def __init__(self, ranker: tf.keras.Model):
        super().__init__(name="encoded_features")
        self._specs = {
            name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=name)
            for name, tensor in sorted(input_tensors(ranker).items())
        }

    def tensor_specs(self, shape: tuple = (None,)) -> dict[str, tf.TensorSpec]:
        """The ranker's inputs by name; `shape` replaces the batch dimension."""
        return {
            name: tf.TensorSpec((*shape, *spec.shape[1:]), spec.dtype, name=name)
            for name, spec in self._specs.items()
        }

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the inputs themselves."""
        return dict(raw)

    def parse(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Parses serialized tf.Examples [B] of encoded values."""
        return tf.io.parse_example(
            examples,
            {
                name: tf.io.FixedLenFeature(spec.shape[1:], spec.dtype)
                for name, spec in self._specs.items()
            },
        )
