"""Embedding tables stored in two bytes or one, looked up as float32."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.ranker import Outputs, feature_names
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.export.table_dtype import TableDtype
from hgr_tf.features import FeatureEncoding
from hgr_tf.layers import Embedding, RowEmbedding
from hgr_tf.layers.masked_mean import masked_mean

SCORED_ROWS = 4096


@contextlib.contextmanager
def low_precision_tables(
    ranker: tf.keras.Model, dtype: TableDtype | None
) -> Iterator[None]:
    """Makes a ranker look its embeddings up in smaller copies of their tables.

    What is traced meanwhile reads only the copies; afterwards the ranker is as
    it was. int8 rounds each row to a multiple of max|row| / 127:
    e_ij ~ q_ij * s_i.

    Args:
        ranker: Its embedding layers are affected; see `embedding_layers`.
        dtype: Data type of the copies; None changes nothing.
    """
    if dtype is None:
        yield
        return
    layers = embedding_layers(ranker)
    for layer in layers:
        table = tf.convert_to_tensor(layer.embeddings)
        lookup = _int8_lookup(table) if dtype == "int8" else _cast_lookup(table, dtype)
        # Past Keras's tracking, which would take the copies for weights.
        object.__setattr__(layer, "call", _with_pooling(lookup))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def embedding_layers(ranker: tf.keras.Model) -> list[tf.keras.layers.Embedding]:
    """The layers of a ranker that look up as Embedding does, nested ones included."""
    # Another subclass with a call of its own may do more than look up.
    looking_up = (tf.keras.layers.Embedding.call, Embedding.call, RowEmbedding.call)
    return [
        layer
        for layer in ranker._flatten_layers()
        if isinstance(layer, tf.keras.layers.Embedding)
        and type(layer).call in looking_up
    ]


def table_bytes(ranker: tf.keras.Model, dtype: TableDtype | None = None) -> int:
    """Bytes of a ranker's embedding tables, stored as `dtype`."""
    total = 0
    for layer in embedding_layers(ranker):
        rows, width = layer.embeddings.shape
        if dtype == "int8":
            total += rows * (width + 4)
        else:
            total += rows * width * tf.as_dtype(dtype or "float32").size
    return total


def score_change(
    ranker: tf.keras.Model,
    encoding: FeatureEncoding,
    dtype: TableDtype,
    seed: int = 0,
    *,
    from_logits: bool = True,
) -> tuple[float, float]:
    """Largest and mean |change| of the probabilities that `dtype` causes.

    Measured on `SCORED_ROWS` random requests; see `SampleRequests`.

    Args:
        ranker: Model over a dict of encoded features, giving [B, 1], or a dict of these
            by head; their changes count alike.
        encoding: Encoding of its features.
        dtype: Data type of the tables.
        seed: Seed of the requests.
        from_logits: Whether the ranker gives logits or probabilities.
    """
    names = feature_names(ranker, encoding)
    with tempfile.TemporaryDirectory() as scratch:
        encoding.save(scratch)
        features = RawFeatures(encoding, Path(scratch) / "vocabularies", names)
        raw = SampleRequests(encoding, names, seed).raw(SCORED_ROWS)
        encoded = features({k: tf.constant(v) for k, v in raw.items()})
    before = _flat(ranker(encoded, training=False))
    with low_precision_tables(ranker, dtype):
        after = _flat(ranker(encoded, training=False))
    if from_logits:
        before, after = tf.sigmoid(before), tf.sigmoid(after)
    change = np.abs(after.numpy() - before.numpy())
    return float(change.max()), float(change.mean())


def _flat(outputs: Outputs) -> tf.Tensor:
    """The outputs of all heads, one after the other."""
    return tf.concat(tf.nest.flatten(outputs), axis=0)


def _with_pooling(lookup: Callable[[tf.Tensor], tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Makes of a lookup what stands for `Embedding.call`, with its `pooling`."""

    def call(ids: tf.Tensor, pooling: str | None = None) -> tf.Tensor:
        return masked_mean(lookup(ids), ids) if pooling else lookup(ids)

    return call


def _cast_lookup(table: tf.Tensor, dtype: str) -> Callable[[tf.Tensor], tf.Tensor]:
    stored = tf.Variable(tf.cast(table, dtype), trainable=False, name="embeddings")

    def lookup(ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(stored, ids), table.dtype)

    return lookup


def _int8_lookup(table: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    scales = tf.reduce_max(tf.abs(table), axis=1) / 127.0
    steps = tf.math.divide_no_nan(table, scales[:, None])
    stored = tf.Variable(
        tf.cast(tf.round(steps), tf.int8), trainable=False, name="embeddings"
    )
    scales = tf.Variable(scales, trainable=False, name="scales")

    def lookup(ids: tf.Tensor) -> tf.Tensor:
        rows = tf.cast(tf.gather(stored, ids), table.dtype)
        return rows * tf.gather(scales, ids)[..., None]

    return lookup
