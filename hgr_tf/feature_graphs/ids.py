"""Ids of texts in a graph: by vocabulary, by hash, and of values in lists."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import tensorflow as tf

from hgr_tf.feature_graphs.raw_values import UNKNOWN, as_text, integers

IdsOf = Callable[[tf.Tensor], tf.Tensor]


def by_hash(num_buckets: int) -> IdsOf:
    """A function from texts [...] to 1 + FarmHash64 mod num_buckets, int64 [...]."""

    def ids_of(text: tf.Tensor) -> tf.Tensor:
        return tf.strings.to_hash_bucket_fast(text, num_buckets) + UNKNOWN

    return ids_of


def by_vocabulary(table: tf.lookup.StaticHashTable | None, oov_buckets: int) -> IdsOf:
    """A function from texts [...] to ids of a vocabulary, int64 [...].

    Args:
        table: Of `vocabulary_table`; None for a vocabulary without a value.
        oov_buckets: Ids from 1 on, of values that the table lacks.
    """
    hashed = by_hash(oov_buckets)
    if table is None:
        return hashed

    def ids_of(text: tf.Tensor) -> tf.Tensor:
        known = table.lookup(text)
        if oov_buckets == 1:  # the table's default
            return known
        return tf.where(known > UNKNOWN, known, hashed(text))

    return ids_of


def vocabulary_table(
    name: str, vocabulary: Collection[str] | None, folder: Path, first_id: int
) -> tf.lookup.StaticHashTable | None:
    """The lookup table of the file <name>.txt; None if the vocabulary is empty.

    Raises:
        ValueError: The vocabulary has a value that its file cannot hold.
    """
    for value in vocabulary or ():
        # TensorFlow ends a line at "\r\n" too.
        if value.endswith("\r") or "\n" in value:
            raise ValueError(
                f"feature {name!r}: a vocabulary value must hold no line break and end "
                f"in no carriage return, got {value!r}"
            )
    if not vocabulary:
        return None
    return tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(folder / f"{name}.txt"),
            key_dtype=tf.string,
            key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
            value_dtype=tf.int64,
            value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
            value_index_offset=first_id,
        ),
        default_value=UNKNOWN,
    )


def one_id(raw: tf.Tensor, missing: tf.Tensor, ids_of: IdsOf) -> tf.Tensor:
    """Ids of one value per row: int64 [B], 0 where missing."""
    return tf.where(missing, tf.constant(0, tf.int64), ids_of(as_text(raw)))


def present_tokens(
    raw: tf.Tensor | tf.RaggedTensor,
    delimiter: str,
    is_missing: Callable[[tf.Tensor], tf.Tensor],
    dtype: str = "string",
) -> tf.RaggedTensor:
    """The values of lists that are not missing.

    Args:
        raw: Texts [B] that hold the delimiter, or ragged values [B, None].
        delimiter: Separates values in a text.
        is_missing: Tells which values mean "missing".
        dtype: Data type of the values: "int64" reads texts as integers.

    Returns:
        Ragged texts [B, None].
    """
    is_text = not isinstance(raw, tf.RaggedTensor)
    if is_text:
        # A missing text may hold the delimiter, as "N/A" does.
        raw = tf.strings.split(tf.where(is_missing(raw), "", raw), delimiter)
    raw = _without(raw, is_missing(raw.flat_values))
    if is_text and dtype == "int64":
        raw = raw.with_flat_values(integers(raw.flat_values))
        # Such as "-7.0", whose text is not that of a missing value.
        raw = _without(raw, is_missing(raw.flat_values))
    return raw.with_flat_values(as_text(raw.flat_values))


def padded(values: tf.RaggedTensor, length: int) -> tf.Tensor:
    """Lists cut or padded with 0 to [B, length]."""
    return values.to_tensor(shape=[None, length])


def _without(values: tf.RaggedTensor, missing: tf.Tensor) -> tf.RaggedTensor:
    present = tf.where(~missing)[:, 0]
    return tf.RaggedTensor.from_value_rowids(
        tf.gather(values.flat_values, present),
        tf.gather(values.value_rowids(), present),
        nrows=values.nrows(),
        validate=False,
    )
