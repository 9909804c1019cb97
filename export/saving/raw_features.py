"""RawFeatures: the pipeline's encoding of raw values, as TensorFlow ops."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import tensorflow as tf

from hgr_tf.features import (
    Bucketized,
    Feature,
    FeatureEncoding,
    Hashed,
    HistoryList,
    Numeric,
)

MISSING_INT = tf.int64.min
"""Stands for "no value" in an int64 tensor, as "" and NaN do in the others."""


_NO_VALUE = {tf.string: "", tf.int64: MISSING_INT, tf.float32: float("nan")}

UNKNOWN = 1
"""The first id of unknown values; a vocabulary's ids come after the last."""


class RawFeatures(tf.Module):
    """Encodes raw values in the graph as the pipeline encoded training data.

    Raw tensors are strings, int64s or float32s as the spec's dtypes say;
    multi-valued features are text that holds the spec's delimiter. "No value"
    is "", `MISSING_INT` or NaN; infinities, which training never sees, count
    as that too. A history is raw values [B, events] of any length, "no value" beside
    the oldest as its padding; the oldest past the spec's length are dropped. In a
    tf.Example a value is left out instead, and multi-valued features and histories
    are lists.

    Args:
        encoding: Spec, vocabularies, boundaries and moments.
        vocabularies: Folder of <feature>.txt files, a value a line; they
            become assets of the SavedModel.
        names: Features to encode; all of the spec by default.

    Raises:
        ValueError: A vocabulary has a value that its file cannot hold, or a
            missing value is a number only as it is written in text.
    """

    def __init__(
        self,
        encoding: FeatureEncoding,
        vocabularies: str | Path,
        names: Collection[str] | None = None,
    ):
        super().__init__(name="raw_features")
        self._encoding = encoding
        self.features = tuple(
            f for f in encoding.spec.features() if names is None or f.name in names
        )
        # Histories are encoded as the features that they share their ids with.
        of = dict.fromkeys(self._encoded_as(f) for f in self.features)
        for feature in of:
            _check_lines(feature.name, encoding.vocabularies.get(feature.name, ()))
            if feature.transform.dtype != "string":
                _check_missing_numbers(feature.name, encoding.spec.missing_values)
        self._tables = {
            f.name: _vocabulary_table(
                Path(vocabularies) / f"{f.name}.txt",
                encoding.first_vocabulary_id(f.name),
            )
            for f in of
            if encoding.vocabularies.get(f.name)
        }

    def names(self, *owners: str) -> list[str]:
        """Names of the features of these owners ("user", "item", "context")."""
        return [f.name for f in self.features if f.owner in owners]

    def tensor_specs(self, shape: tuple = (None,)) -> dict[str, tf.TensorSpec]:
        """Raw tensors by feature name: strings, int64s or float32s."""
        return {
            f.name: tf.TensorSpec((*shape, *_extra(f)), _raw_dtype(f), name=f.name)
            for f in self.features
        }

    def __call__(
        self, raw: Mapping[str, tf.Tensor], names: Collection[str] | None = None
    ) -> dict[str, tf.Tensor]:
        """Encodes raw tensors [B] by feature name.

        Args:
            raw: Raw values of at least the features to encode.
            names: Features to encode; all by default.

        Returns:
            What the ranker takes: ids [B] or [B, max_length] int64 (0 is
            missing and padding), numbers [B] float32.
        """
        return {
            f.name: self._encode(f, raw[f.name])
            for f in self.features
            if names is None or f.name in names
        }

    def parse(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encodes serialized tf.Examples [B] of raw values."""
        raw = tf.io.parse_example(
            examples, {f.name: _example_schema(f) for f in self.features}
        )
        for feature in self.features:
            if isinstance(feature.transform, HistoryList):
                raw[feature.name] = _as_dense(raw[feature.name], feature.transform)
        return self(raw)

    def _encoded_as(self, feature: Feature) -> Feature:
        if isinstance(feature.transform, HistoryList):
            return self._encoding.spec.feature(feature.transform.shares)
        return feature

    def _encode_history(self, feature: Feature, raw: tf.Tensor) -> tf.Tensor:
        """Ids [B, length * width] of the newest events of raw values [B, any]."""
        transform, length = feature.transform, feature.transform.length
        newest_first = transform.newest_first
        raw = raw[:, :length] if newest_first else raw[:, -length:]
        batch, events = tf.shape(raw)[0], tf.shape(raw)[1]
        ids = self._encode(self._encoded_as(feature), tf.reshape(raw, [-1]))
        ids = tf.reshape(ids, [batch, events * transform.width])
        lacking = (length - events) * transform.width
        padding = [0, lacking] if newest_first else [lacking, 0]
        return tf.ensure_shape(
            tf.pad(ids, [[0, 0], padding]), [None, transform.max_length]
        )

    def _encode(self, feature: Feature, raw) -> tf.Tensor:
        transform = feature.transform
        if isinstance(transform, HistoryList):
            return self._encode_history(feature, raw)
        if transform.is_multivalued:
            return self._encode_lists(feature, raw)
        missing = self._is_missing(raw)
        if isinstance(transform, Numeric):
            return self._number(feature, raw, missing)
        if isinstance(transform, Bucketized):
            boundaries = self._encoding.float32_boundaries(feature.name)
            buckets = tf.raw_ops.Bucketize(input=raw, boundaries=boundaries.tolist())
            ids = tf.cast(buckets, tf.int64) + 1
        else:
            ids = self._present_ids(feature, _text(raw))
        return tf.where(missing, tf.constant(0, tf.int64), ids)

    def _encode_lists(self, feature: Feature, raw) -> tf.Tensor:
        transform = feature.transform
        is_text = not isinstance(raw, tf.RaggedTensor)
        lists = self._split(raw, transform.delimiter) if is_text else raw
        present = tf.where(~self._is_missing(lists.flat_values))[:, 0]
        tokens = tf.gather(lists.flat_values, present)
        if is_text and transform.dtype == "int64":
            tokens = _integers(tokens)
        ids = self._present_ids(feature, _text(tokens))
        if is_text and transform.dtype == "int64":
            # Such as "-7.0", whose text is not that of a missing value.
            stays = tf.where(~self._is_missing(tokens))[:, 0]
            ids, present = tf.gather(ids, stays), tf.gather(present, stays)
        return tf.RaggedTensor.from_value_rowids(
            ids,
            tf.gather(lists.value_rowids(), present),
            nrows=lists.nrows(),
            validate=False,
        ).to_tensor(shape=[None, transform.max_length])

    def _split(self, raw: tf.Tensor, delimiter: str) -> tf.RaggedTensor:
        # A missing text may hold the delimiter, as "N/A" does.
        present = tf.where(self._is_missing(raw), "", raw)
        return tf.strings.split(present, delimiter)

    def _number(self, feature: Feature, raw, missing) -> tf.Tensor:
        # In float64, rounded once, so that the pipeline's numpy agrees.
        transform = feature.transform
        default = tf.constant(transform.default, tf.float64)
        x = tf.where(missing, default, tf.cast(raw, tf.float64))
        if transform.log1p:
            x = tf.sign(x) * tf.math.log1p(tf.abs(x))
        if transform.standardize:
            mean, deviation = self._encoding.moments[feature.name]
            x = (x - mean) / deviation
        return tf.cast(x, tf.float32)

    def _is_missing(self, raw: tf.Tensor) -> tf.Tensor:
        texts = self._encoding.spec.missing_values
        if raw.dtype == tf.string:
            missing, values = raw == "", texts
        else:
            numbers = [t for t in texts if _is_integer(t)]
            if raw.dtype == tf.int64:
                missing = raw == MISSING_INT
                fits = range(tf.int64.min, tf.int64.max + 1)
                values = [int(t) for t in numbers if int(t) in fits]
            else:
                missing = ~tf.math.is_finite(raw)
                values = map(float, numbers)
        for value in values:
            missing |= raw == tf.constant(value, raw.dtype)
        return missing

    def _present_ids(self, feature: Feature, text: tf.Tensor) -> tf.Tensor:
        """Ids of texts that are not missing."""
        transform = feature.transform
        hashed = isinstance(transform, Hashed)
        buckets = transform.num_buckets if hashed else transform.oov_buckets
        known = None
        if feature.name in self._tables:
            known = self._tables[feature.name].lookup(text)
            if buckets == 1:  # the table's default
                return known
        ids = tf.strings.to_hash_bucket_fast(text, buckets) + UNKNOWN
        return ids if known is None else tf.where(known > UNKNOWN, known, ids)


def _integers(texts: tf.Tensor) -> tf.Tensor:
    """int64s of texts that are integers or booleans, as the pipeline reads them."""
    for pattern, digits in (
        (r"(?i)^true$", "1"),
        (r"(?i)^false$", "0"),
        (r"^\+|\.0*$", ""),
    ):
        texts = tf.strings.regex_replace(texts, pattern, digits)
    return tf.strings.to_number(texts, tf.int64)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _check_missing_numbers(name: str, missing_values: Collection[str]) -> None:
    """A text such as "-999.0" means nothing among numbers, though it did in logs."""
    whole = {float(text) for text in missing_values if _is_integer(text)}
    for text in missing_values:
        number = _finite(text)
        if number is not None and number not in whole:
            raise ValueError(
                f"feature {name!r} takes numbers: a number among missing_values must "
                f"be whole and written in digits, such as '-999'; got {text!r}"
            )


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(raw: tf.Tensor) -> tf.Tensor:
    return tf.strings.as_string(raw) if raw.dtype == tf.int64 else raw


def _raw_dtype(feature: Feature) -> tf.DType:
    transform = feature.transform
    if isinstance(transform, HistoryList):
        transform = transform.of
    if transform.is_multivalued:
        return tf.string
    return tf.as_dtype(transform.dtype)


def _extra(feature: Feature) -> tuple:
    """Dimensions of a raw value."""
    return (None,) if isinstance(feature.transform, HistoryList) else ()


def _as_dense(lists: tf.RaggedTensor, transform: HistoryList) -> tf.Tensor:
    """Lists of events side by side, padding beside the oldest."""
    if transform.newest_first:
        return lists.to_tensor(_NO_VALUE[lists.dtype])
    return tf.reverse(tf.reverse(lists, [1]).to_tensor(_NO_VALUE[lists.dtype]), [1])


def _example_schema(feature: Feature):
    dtype = tf.as_dtype(feature.transform.dtype)
    if isinstance(feature.transform, HistoryList):
        dtype = _raw_dtype(feature)
    if feature.transform.is_multivalued:
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
    return tf.io.FixedLenFeature([], dtype, _NO_VALUE[dtype])


def _check_lines(name: str, vocabulary: Collection[str]) -> None:
    for value in vocabulary:
        # TensorFlow ends a line at "\r\n" too.
        if value.endswith("\r") or "\n" in value:
            raise ValueError(
                f"feature {name!r}: a vocabulary value must hold no line break and end "
                f"in no carriage return, got {value!r}"
            )


def _vocabulary_table(path: Path, first_id: int) -> tf.lookup.StaticHashTable:
    return tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(path),
            key_dtype=tf.string,
            key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
            value_dtype=tf.int64,
            value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
            value_index_offset=first_id,
        ),
        default_value=UNKNOWN,
    )
