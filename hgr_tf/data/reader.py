"""PreparedData: batches of a folder that `hgr-tf prepare` finished."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import tensorflow as tf

from hgr_tf.data.batches import Batches
from hgr_tf.data.calls import CALLS
from hgr_tf.data.elements import Element, element_of
from hgr_tf.data.example_dataset import repeated_examples
from hgr_tf.data.manifest import FILE_NAME as MANIFEST
from hgr_tf.data.manifest import Manifest, ManifestError
from hgr_tf.data.parquet_shards import ParquetShards
from hgr_tf.data.row_source import RowSource
from hgr_tf.data.row_store import RowLayout
from hgr_tf.data.shards import Shards
from hgr_tf.data.tfrecord_shards import TFRecordShards
from hgr_tf.features import USER, WEIGHT, FeatureEncoding, FeatureSpec
from hgr_tf.result_files import sha256_of

Reader = Literal["auto", "columns", "tfrecord"]
Cache = Literal["memory", "none"]

MEMORY_MB = 2048
TFRECORD_BUFFER = 1 << 18
"""Rows shuffled together where TFRecords were written in random order."""

_FORMATS = {"columns": "parquet", "tfrecord": "tfrecord"}


class PreparedData:
    """A finished folder of prepared data, its encoding and its manifest.

    Attributes:
        folder: Where the data is.
        manifest: Splits, rows and shards.
        encoding: How raw values became ids.

    Example:
        >>> data = PreparedData.load("prepared/kuairand_pure")
        >>> train = data.dataset("train", 1024, shuffle=True, seed=1)
        >>> features, label = next(iter(train))
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        encoding: FeatureEncoding,
        *,
        reader: Reader = "auto",
        cache: Cache = "memory",
        memory_mb: int = MEMORY_MB,
    ):
        self.folder = folder
        self.manifest = manifest
        self.encoding = encoding
        self._reader = _reader_of(folder, manifest, reader)
        if cache not in get_args(Cache):
            raise ValueError(f"`cache` must be one of {get_args(Cache)}, got {cache!r}")
        self._cache = cache
        self._memory = memory_mb << 20
        self._checked: set[str] = set()
        self._sources: dict[str, RowSource] = {}
        self._failure: Exception | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        spec: FeatureSpec | None = None,
        *,
        reader: Reader = "auto",
        cache: Cache = "memory",
        memory_mb: int = MEMORY_MB,
    ) -> PreparedData:
        """Opens a folder.

        Args:
            folder: Output of `hgr-tf prepare`.
            spec: When given, the data must have been prepared under it.
            reader: "columns" (Parquet) or "tfrecord": what the folder must hold.
                "auto" takes either.
            cache: "memory" keeps a split's decoded rows from epoch to epoch where
                they fit into `memory_mb`; "none" decodes them in each epoch.
            memory_mb: MiB for the decoded rows of each split.

        Raises:
            ManifestError: The folder is absent or unfinished, a file of its
                encoding is missing or altered, its spec is not the one the
                data was made under, or it holds another format.
        """
        folder = Path(folder)
        manifest = Manifest.load(folder)
        manifest.check_encoding_files(folder)
        encoding = FeatureEncoding.load(folder)
        manifest.check_spec(spec or encoding.spec)
        return cls(
            folder,
            manifest,
            encoding,
            reader=reader,
            cache=cache,
            memory_mb=memory_mb,
        )

    def manifest_digest(self) -> str:
        """SHA-256 of MANIFEST.json, which lists that of each shard."""
        return sha256_of(self.folder / MANIFEST)

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
        if split not in self._checked:
            self.manifest.check_shards(self.folder, split, _FORMATS[self._reader])
            self._checked.add(split)

    def rows(self, split: str) -> int:
        """Number of examples of a split."""
        return sum(s.rows for s in self.manifest.shards(self.folder, split))

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
        first_step: int = 0,
        drop_remainder: bool = False,
        shuffle_buffer: int | None = None,
        worker: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Batches of a split.

        Rows that stay in memory are decoded from now on, in the background. A batch
        depends only on `seed`, the number of its epoch and its step there, so
        that a run resumed at any step sees what it would have seen uninterrupted.
        Columns and TFRecords of the same rows give the same batches.

        Args:
            split: Name of a split in the manifest.
            batch_size: Examples of a batch.
            shuffle: Whether to shuffle. Otherwise the rows come in the order of the
                shards.
            seed: Seed of the shuffling, at least 0.
            epochs: Numbers of the passes over the split, one after another.
            first_step: Batches of the first of these passes to leave out.
            drop_remainder: Whether to drop a pass's last batch if it is short.
            shuffle_buffer: Rows to shuffle among, in whole shards (row groups of
                Parquet). None shuffles the whole split, or as much of it as half of
                the memory holds; TFRecords that were written in random order are
                shuffled among 262,144 rows, so that the first batch need not wait for
                all of them.
            worker: (index, count) of the worker, which gets its share of the rows of
                each batch.

        Returns:
            Elements (features, label) or, where the data has weights,
            (features, label, weight). Features are {input: [B] or [B, size],
            int64 or float32, as `FeatureSpec.inputs` says, short lists padded with 0;
            "__user__": [B] int64}; label and weight are [B] float32. Where the spec
            has several labels, (features, {name: label}, {name: weight}), in their
            order: the weight of the row times that of its label, 1 without either;
            `Label.given` is left to the model.

        Raises:
            ManifestError: No such split, or it is empty, or a shard of it is
                missing or altered. While iterating, that is an error of TensorFlow
                which holds the message; see `errors`.
            ValueError: An argument is out of its range.
        """
        _check_arguments(batch_size, epochs, seed, shuffle_buffer, worker)
        self.check_split(split)
        steps = self.steps(split, batch_size, drop_remainder)
        if not 0 <= first_step <= steps:
            raise ValueError(f"`first_step` must be in [0, {steps}], got {first_step}")
        source = self._source(split)
        batches = Batches(
            source,
            batch_size,
            epochs,
            first_step=first_step,
            shuffle=shuffle,
            seed=seed,
            shuffle_buffer=shuffle_buffer or self._default_buffer(),
            drop_remainder=drop_remainder,
            worker=worker,
        )
        batches.start()  # while the training step is traced
        fixed = drop_remainder and not batch_size % worker[1]
        size = batch_size // worker[1] if fixed else None
        return self._as_dataset(batches, source.layout, size)

    def check_python_free(self) -> None:
        """Raises `ManifestError` unless `repeated_batches` can read the folder."""
        if self._reader != "tfrecord":
            raise ManifestError(
                f"{self.folder}: holds {self.manifest.output_format!r}, which Python "
                "decodes; where parameter servers are used, workers run without it: "
                "run `hgr-tf prepare` with --output-format tfrecord"
            )

    def repeated_batches(
        self, split: str, batch_size: int, shuffle_buffer: int | None = None
    ) -> Callable[[], tf.data.Dataset]:
        """Makes a function that gives endless, shuffled batches of a split.

        Processes without Python can read what the function makes in their graphs.

        Every process gets all rows of the split, in an order of its own that nothing
        repeats; batches go on over the end of a pass, so that all are whole.

        Args:
            split: Name of a split in the manifest.
            batch_size: Examples of a batch.
            shuffle_buffer: Rows to shuffle among; None for 262,144.

        Returns:
            A function without arguments, whose dataset has elements as `dataset`.

        Raises:
            ManifestError: The folder holds columns, the split is empty or not there,
                or a shard of it is missing or altered.
        """
        self.check_python_free()
        self.check_split(split)
        shards = self._shards(split)
        return functools.partial(
            repeated_examples,
            [str(shards.path(unit.shard)) for unit in shards.units()],
            RowLayout.of(self.encoding, shards.has(WEIGHT)),
            self.encoding.spec,
            batch_size,
            min(shuffle_buffer or TFRECORD_BUFFER, self.rows(split)),
        )

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raises the reader's own error in place of TensorFlow's.

        Raises:
            ManifestError: A shard was removed or altered in mid-run.

        Example:
            >>> with data.errors():  # doctest: +SKIP
            ...     model.fit(data.dataset("train", 1024))
        """
        self._failure = None
        try:
            yield
        except tf.errors.OpError as error:
            if self._failure is None:
                raise
            raise self._failure from error

    def _source(self, split: str) -> RowSource:
        if split not in self._sources:
            shards = self._shards(split)
            layout = RowLayout.of(self.encoding, shards.has(WEIGHT))
            keeps = self._cache == "memory"
            self._sources[split] = RowSource(shards, layout, self._memory, keeps)
        return self._sources[split]

    def _shards(self, split: str) -> Shards:
        kinds = {"columns": ParquetShards, "tfrecord": TFRecordShards}
        listed = self.manifest.shards(self.folder, split)
        return kinds[self._reader](self.folder, listed)

    def _default_buffer(self) -> int | None:
        shuffled = self.manifest.arguments.get("layout") == "shuffled"
        return TFRECORD_BUFFER if shuffled and self._reader == "tfrecord" else None

    def _as_dataset(
        self, batches: Batches, layout: RowLayout, size: int | None
    ) -> tf.data.Dataset:
        CALLS.expect()
        types = [tf.int64, tf.float32, tf.int64]
        types += [tf.as_dtype(form.dtype) for form in layout.lists.values()]
        shapes = [[len(layout.ids), size], [len(layout.floats), size], [size]]
        shapes += [[size, *form.shape] for form in layout.lists.values()]

        def arrays(index: np.ndarray) -> list[np.ndarray]:
            with CALLS:
                try:
                    return batches[int(index)]
                except Exception as error:
                    self._failure = error
                    raise

        def batch(index: tf.Tensor) -> Element:
            tensors = tf.numpy_function(arrays, [index], types)
            for tensor, shape in zip(tensors, shapes, strict=True):
                tensor.set_shape(shape)
            return _elements(tensors, layout, self.encoding.spec)

        options = tf.data.Options()
        # There are no files to deal to workers: see `worker`.
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        return (
            tf.data.Dataset.range(len(batches))
            .map(batch)
            .prefetch(tf.data.AUTOTUNE)
            .with_options(options)
        )


def _elements(
    tensors: list[tf.Tensor], layout: RowLayout, spec: FeatureSpec
) -> Element:
    ids, floats, users, *lists = tensors
    features = dict(zip(layout.ids, tf.unstack(ids), strict=True))
    features |= dict(zip(layout.lists, lists, strict=True))
    features |= dict(zip(layout.floats, tf.unstack(floats), strict=True))
    features[USER] = users
    return element_of(features, spec)


def _reader_of(folder: Path, manifest: Manifest, reader: Reader) -> str:
    """The reader of the folder's format."""
    if reader not in get_args(Reader):
        raise ValueError(f"`reader` must be one of {get_args(Reader)}, got {reader!r}")
    held = manifest.output_format
    known = {format_: name for name, format_ in _FORMATS.items()}
    if held not in known:
        raise ManifestError(
            f"{folder}: holds {held!r}, which is for other tools; run `hgr-tf prepare` "
            f"with --output-format {' or '.join(sorted(known))}"
        )
    if reader not in ("auto", known[held]):
        raise ManifestError(
            f"{folder}: holds {held!r}, but `reader` is {reader!r}: set it to 'auto', "
            f"or run `hgr-tf prepare` with --output-format {_FORMATS[reader]}"
        )
    return known[held]


def _check_arguments(
    batch_size: int,
    epochs: range,
    seed: int,
    shuffle_buffer: int | None,
    worker: tuple[int, int],
) -> None:
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1, got {batch_size}")
    if not epochs:
        raise ValueError(f"`epochs` must not be empty, got {epochs}")
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0, got {seed}")
    if shuffle_buffer is not None and shuffle_buffer < 1:
        raise ValueError(f"`shuffle_buffer` must be at least 1, got {shuffle_buffer}")
    index, count = worker
    if not 0 <= index < count:
        raise ValueError(
            f"`worker` must be (index, count) with 0 <= index < count, got {worker}"
        )
