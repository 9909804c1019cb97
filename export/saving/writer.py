"""Writes a ranker as a SavedModel, unverified and unpublished."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf

from hgr_tf.export.options import ExportOptions, save_spec
from hgr_tf.export.ranker import feature_names
from hgr_tf.export.saving import saved_model
from hgr_tf.export.saving.encoded_features import EncodedFeatures
from hgr_tf.export.saving.low_precision import low_precision_tables
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.export.saving.serving_module import ServingModule
from hgr_tf.features import FeatureEncoding
from hgr_tf.functional.graph import is_functional


def write(
    ranker: tf.keras.Model,
    folder: str | Path,
    encoding: FeatureEncoding | None = None,
    options: ExportOptions | None = None,
) -> None:
    """Writes a ranker as a SavedModel.

    Args:
        ranker: Keras model over a dict of encoded features, giving [B, 1], or a dict
            of these by head.
        folder: Must not exist.
        encoding: How raw values are encoded. Without it the signatures take
            the ranker's own inputs, and there is no `rank`.
        options: What to write.

    Raises:
        ValueError: The ranker's inputs are not features of the spec.
    """
    options = options or ExportOptions()
    with (
        tempfile.TemporaryDirectory() as scratch,
        low_precision_tables(ranker, options.table_dtype),
    ):
        features = _features(ranker, encoding, Path(scratch))
        saved_model.save(ServingModule(ranker, features, options), folder)
    options.save(folder)
    if encoding is not None:
        save_spec(encoding.spec, feature_names(ranker, encoding), folder)


def _features(
    ranker: tf.keras.Model, encoding: FeatureEncoding | None, scratch: Path
) -> RawFeatures | EncodedFeatures:
    if encoding is not None:
        names = feature_names(ranker, encoding)
        encoding.save(scratch)
        return RawFeatures(encoding, scratch / "vocabularies", names)
    if not is_functional(ranker):
        raise ValueError(
            "`encoding` must be given for a ranker that is not functional, got None"
        )
    return EncodedFeatures(ranker)
