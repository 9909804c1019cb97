"""Batches of TFRecords that workers without Python can read."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.data import ManifestError, PreparedData
from hgr_tf.features import USER
from tests.prepared import TWO_LABELS, rows, rows_of_two_labels, write_prepared


def in_graph(batches, count):
    """The first batches, from a dataset that a graph makes, as on a worker."""

    @tf.function
    def make():
        return tf.raw_ops.DatasetToGraphV2(input_dataset=batches()._variant_tensor)

    @tf.function
    def first():
        dataset = batches().take(count)
        return dataset.reduce(
            tf.zeros([0], tf.float32),
            lambda seen, batch: tf.concat([seen, batch[0]["price"]], axis=0),
        )

    assert b"PyFunc" not in make().numpy()
    return first


@pytest.fixture(scope="module")
def tfrecords(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    train = rows(60, 0, weighted=True)
    return write_prepared(folder, {"train": train}, 3, "tfrecord")


def test_batches_are_those_of_the_reader_but_for_their_order(tfrecords):
    data = PreparedData.load(tfrecords)
    whole = next(iter(data.dataset("train", 60)))
    batches = data.repeated_batches("train", 60)()
    assert tf.nest.map_structure(lambda x: (x.dtype, x.shape[1:]), whole) == (
        tf.nest.map_structure(lambda x: (x.dtype, x.shape[1:]), batches.element_spec)
    )
    key = "price"  # other in each row
    expected = {float(k): i for i, k in enumerate(whole[0][key])}
    features, labels, weights = next(iter(batches))
    places = [expected[float(k)] for k in features[key]]
    for name in ("tags", "item", USER):
        np.testing.assert_array_equal(features[name], whole[0][name].numpy()[places])
    np.testing.assert_array_equal(labels, whole[1].numpy()[places])
    np.testing.assert_array_equal(weights, whole[2].numpy()[places])


def test_every_row_comes_as_often_as_any_other(tfrecords):
    batches = PreparedData.load(tfrecords).repeated_batches("train", 7)
    seen = Counter(in_graph(batches, 300)().numpy().tolist())
    assert len(seen) == 60 and max(seen.values()) - min(seen.values()) <= 12


@pytest.mark.parametrize("seed", [0, 1])
def test_workers_draw_orders_of_their_own(tfrecords, seed):
    tf.random.set_seed(seed)
    graph = in_graph(PreparedData.load(tfrecords).repeated_batches("train", 60), 1)
    assert graph().numpy().tolist() != graph().numpy().tolist()


def test_several_labels_come_by_name(tmp_path):
    splits = {"train": rows_of_two_labels(20, 0)}
    write_prepared(tmp_path, splits, 1, "tfrecord", encoding=TWO_LABELS)
    batches = PreparedData.load(tmp_path).repeated_batches("train", 4)()
    _, labels, weights = next(iter(batches))
    assert list(labels) == list(weights) == ["click", "purchase"]


def test_columns_are_refused_with_the_way_out(tmp_path):
    write_prepared(tmp_path, {"train": rows(4, 0)}, 1, "parquet")
    data = PreparedData.load(tmp_path)
    with pytest.raises(ManifestError, match="--output-format tfrecord"):
        data.repeated_batches("train", 2)
