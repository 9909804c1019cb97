"""ServingModule: a ranker's signatures over the variables that they read."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hgr_tf.export.options import ExportOptions
from hgr_tf.export.ranker import head_names
from hgr_tf.export.saving.encoded_features import EncodedFeatures
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.export.signature import ConcreteFunction, make_signature, signature_keys


class ServingModule(tf.Module):
    """What a SavedModel of a ranker holds.

    It tracks the tables of the preprocessing and the variables that the
    signatures read; not the Keras model, so that no layer, optimizer or
    training function is saved with it.

    Args:
        ranker: Keras model over a dict of encoded features, giving [B, 1], or a dict
            of these by head.
        features: How requests become encoded features.
        options: Signatures, outputs and what the ranker gives.
    """

    def __init__(
        self,
        ranker: tf.keras.Model,
        features: RawFeatures | EncodedFeatures,
        options: ExportOptions,
    ):
        super().__init__(name="serving")
        self.features = features
        traced = {
            key: make_signature(key, ranker, features, options).trace()
            for key in signature_keys(options.signatures, head_names(ranker))
        }
        read = {id(v): v for f in traced.values() for v in f.variables}
        self.ranker_variables = list(read.values())
        # Hidden from tracking: the signatures are saved by their own names.
        self._signatures: Callable[[], dict[str, ConcreteFunction]] = lambda: traced

    @property
    def signatures(self) -> dict[str, ConcreteFunction]:
        """Concrete functions by signature name."""
        return self._signatures()
