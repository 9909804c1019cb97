"""Batches of TFRecord shards by TensorFlow's own ops, for workers without Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from hgr_tf.data.elements import Element, element_of
from hgr_tf.data.row_store import RowLayout
from hgr_tf.data.tfrecord_shards import example_schema
from hgr_tf.features import FeatureSpec

_FILES_AT_ONCE = 4


def repeated_examples(
    files: Sequence[str],
    layout: RowLayout,
    spec: FeatureSpec,
    batch_size: int,
    shuffle_buffer: int,
) -> tf.data.Dataset:
    """Endless batches of the rows of some TFRecord files, all of `batch_size`.

    Files come in random order, and rows are shuffled among `shuffle_buffer` of them.
    Each process that runs the dataset draws orders of its own, which differ in each
    run.

    Args:
        files: Paths of GZIP files of tf.train.Example.
        layout: Which columns the examples have.
        spec: Says which labels there are.
        batch_size: Rows of a batch.
        shuffle_buffer: Rows that are shuffled together.
    """
    schema = example_schema(layout)

    def parse(records: tf.Tensor) -> Element:
        columns = tf.io.parse_example(records, schema)
        for name, form in layout.lists.items():
            if form.padded:
                columns[name] = columns[name].to_tensor(shape=[None, form.size])
        return element_of(columns, spec)

    with _seeds_of_each_process():
        return (
            tf.data.Dataset.from_tensor_slices(list(files))
            .shuffle(len(files))
            .repeat()
            .interleave(
                lambda file: tf.data.TFRecordDataset(file, compression_type="GZIP"),
                cycle_length=min(_FILES_AT_ONCE, len(files)),
            )
            .shuffle(shuffle_buffer)
            .batch(batch_size, drop_remainder=True)
            .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )


@contextlib.contextmanager
def _seeds_of_each_process() -> Iterator[None]:
    """Makes shuffles draw their seeds where they run.

    A graph that is built after `tf.random.set_seed` holds seeds, which would be the
    same on all workers, and so would be the order of their rows.
    """
    graph = tf.compat.v1.get_default_graph()
    seed, graph.seed = graph.seed, None
    try:
        yield
    finally:
        graph.seed = seed
