"""PreparedData: batches of a folder that `hgr-tf prepare` finished."""

from __future__ import annotations

import functools
from pathlib import Path

import tensorflow as tf

from hgr_tf.data.lists import padded
from hgr_tf.data.manifest import Manifest, ManifestError
from hgr_tf.features import LABEL, USER, WEIGHT, FeatureEncoding, FeatureSpec

# Records in the shuffle buffer, in serialized form: about 100 MB.
SHUFFLE_BUFFER = 1 << 18


class PreparedData:
    """A finished folder of TFRecords, its encoding and its manifest.

    Attributes:
        folder: Where the data is.
        manifest: Splits, rows and shards.
        encoding: How raw values became ids.

    Example:
        >>> data = PreparedData.load("prepared/kuairand_pure")
        >>> train = data.dataset("train", 1024, shuffle=True, seed=1)
        >>> features, label = next(iter(train))
    """

    def __init__(self, folder: Path, manifest: Manifest, encoding: FeatureEncoding):
        self.folder = folder
        self.manifest = manifest
        self.encoding = encoding
        self._files: dict[str, list[str]] = {}

    @classmethod
    def load(cls, folder: str | Path, spec: FeatureSpec | None = None) -> PreparedData:
        """Opens a folder.

        Args:
            folder: Output of `hgr-tf prepare`.
            spec: When given, the data must have been prepared under it.

        Raises:
            ManifestError: The folder is absent or unfinished, a file of its
                encoding is missing or altered, or its spec is not the one the
                data was made under.
        """
        folder = Path(folder)
        manifest = Manifest.load(folder)
        manifest.check_encoding_files(folder)
        encoding = FeatureEncoding.load(folder)
        manifest.check_spec(spec or encoding.spec)
        return cls(folder, manifest, encoding)

    def check_encoding(self, encoding: FeatureEncoding) -> None:
        """Raises `ManifestError` unless the ids mean what they mean in `encoding`."""
        if self.encoding != encoding:
            raise ManifestError(
                f"{self.folder}: encoded with other vocabularies, boundaries or "
                "moments than the model was trained with"
            )

    def check_split(self, split: str) -> None:
        """Raises `ManifestError` unless a split has rows and its shards are whole."""
        if not self.rows(split):
            raise ManifestError(f"{self.folder}: split {split!r} has no rows")
        if split not in self._files:
            paths = self.manifest.check_shards(self.folder, split)
            self._files[split] = [str(path) for path in paths]

    def rows(self, split: str) -> int:
        """Number of examples of a split."""
        if split not in self.manifest.splits:
            raise ManifestError(
                f"{self.folder}: no split {split!r}; "
                f"there are {sorted(self.manifest.splits)}"
            )
        return self.manifest.splits[split].rows

    def steps(self, split: str, batch_size: int, drop_remainder: bool = False) -> int:
        """Number of batches in one pass over a split."""
        whole, rest = divmod(self.rows(split), batch_size)
        return whole + (rest > 0 and not drop_remainder)

    def dataset(
        self,
        split: str,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        epochs: range = range(1),
        drop_remainder: bool = False,
        shuffle_buffer: int = SHUFFLE_BUFFER,
    ) -> tf.data.Dataset:
        """Batches of a split.

        The order depends only on `seed`, TensorFlow's global seed and the
        epoch's number, so that a run resumed at epoch 3 sees what it would
        have seen uninterrupted.

        Args:
            split: Name of a split in the manifest.
            batch_size: Examples a batch.
            shuffle: Whether to shuffle: shards, then records in a buffer.
                Otherwise the records come in the order of the shards.
            seed: Of the shuffling.
            epochs: Numbers of the passes over the split, one after another.
            drop_remainder: Whether to drop a pass's last batch if it is short.
            shuffle_buffer: Records to shuffle among.

        Returns:
            Elements (features, label) or, where the data has weights,
            (features, label, weight). Features are {name: [B] int64 |
            [B, max_length] int64 padded with 0 | [B] float32, "__user__":
            [B] int64}; label and weight are [B] float32.

        Raises:
            ManifestError: No such split, or it is empty, or a shard of it is
                missing or altered.
            ValueError: `batch_size` is not positive, or `epochs` is empty.
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {batch_size}")
        if not epochs:
            raise ValueError(f"`epochs` must not be empty, got {epochs}")
        self.check_split(split)
        files = self._files[split]
        schema = self._schema(has_weight=self._has_weight(files))

        records = (
            _shuffled(files, shuffle_buffer, seed * 1_000_003 + epoch)
            if shuffle
            else tf.data.TFRecordDataset(files, "GZIP")
            for epoch in epochs
        )
        passes = (one_pass.batch(batch_size, drop_remainder) for one_pass in records)
        steps = self.steps(split, batch_size, drop_remainder) * len(epochs)
        return (
            functools.reduce(tf.data.Dataset.concatenate, passes)
            .map(
                lambda records: self._parse(records, schema),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .apply(tf.data.experimental.assert_cardinality(steps))
            .prefetch(tf.data.AUTOTUNE)
        )

    @staticmethod
    def _has_weight(files: list[str]) -> bool:
        for record in tf.data.TFRecordDataset(files, "GZIP").take(1):
            example = tf.train.Example.FromString(record.numpy())
            return WEIGHT in example.features.feature
        return False

    def _schema(self, has_weight: bool) -> dict:
        schema = {
            USER: tf.io.FixedLenFeature([], tf.int64),
            LABEL: tf.io.FixedLenFeature([], tf.float32),
        }
        if has_weight:
            schema[WEIGHT] = tf.io.FixedLenFeature([], tf.float32)
        for feature in self.encoding.spec.features():
            if feature.transform.is_multivalued:
                parsed = tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
            elif feature.transform.is_categorical:
                parsed = tf.io.FixedLenFeature([], tf.int64)
            else:
                parsed = tf.io.FixedLenFeature([], tf.float32)
            schema[feature.name] = parsed
        return schema

    def _parse(self, records, schema):
        features = tf.io.parse_example(records, schema)
        for feature in self.encoding.spec.features():
            if feature.transform.is_multivalued:
                features[feature.name] = padded(
                    features[feature.name], feature.transform
                )
        label = features.pop(LABEL)
        if WEIGHT in features:
            return features, label, features.pop(WEIGHT)
        return features, label


def _shuffled(files, buffer, seed):
    """Records of the shards, many shards at a time, then of a buffer."""
    return (
        tf.data.Dataset.from_tensor_slices(files)
        .shuffle(len(files), seed=seed, reshuffle_each_iteration=False)
        .interleave(
            lambda file: tf.data.TFRecordDataset(file, "GZIP"),
            cycle_length=16,
            block_length=16,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .shuffle(buffer, seed=seed, reshuffle_each_iteration=False)
    )
