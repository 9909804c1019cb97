"""Writes a ranker as a SavedModel, unverified and unpublished."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf

from export import saved_model
from export.cut import feature_names
from export.encoded_features import EncodedFeatures
from export.low_precision import low_precision_tables
from export.options import ExportOptions, save_spec
from export.preprocessing import RawFeatures
from export.serving_module import ServingModule
from hgr_tf.features import FeatureEncoding
from hgr_tf.models.final_activation import ends_in_sigmoid
from hgr_tf.models.functional_graph import is_functional


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


def write(
    ranker: tf.keras.Model,
    folder: str | Path,
    encoding: FeatureEncoding | None = None,
    options: ExportOptions | None = None,
) -> None:
    """Writes a ranker as a SavedModel.

    Args:
        ranker: Keras model over a dict of encoded features, giving [B, 1].
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


def _features(ranker, encoding, scratch: Path) -> RawFeatures | EncodedFeatures:
    if encoding is not None:
        names = feature_names(ranker, encoding)
        encoding.save(scratch)
        return RawFeatures(encoding, scratch / "vocabularies", names)
    if not is_functional(ranker):
        raise ValueError(
            "`encoding` must be given for a ranker that is not functional, got None"
        )
    return EncodedFeatures(ranker)
