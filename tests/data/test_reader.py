import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.data import ManifestError, PreparedData
from hgr_tf.features import LABEL, USER, WEIGHT, FeatureSpec
from tests.prepared import ENCODING, SPEC, rows, write_prepared

TRAIN, VAL = rows(53, seed=0), rows(20, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    return write_prepared(folder, {"train": TRAIN, "val": VAL}, shards=3)


@pytest.fixture
def data(folder):
    return PreparedData.load(folder)


def prices(dataset):
    """The float feature, unlike in each row, stands for the row."""
    return np.concatenate([x["price"].numpy() for x, *_ in dataset])


def test_batches_hold_the_rows_in_shard_order(data):
    expected = [row for shard in range(3) for row in TRAIN[shard::3]]
    start = 0
    for features, label in data.dataset("train", 10):
        part = expected[start : start + len(label)]
        start += len(label)
        np.testing.assert_array_equal(label, [row[LABEL][0] for row in part])
        for name in ("user", "item", "age", "price", "device", USER):
            np.testing.assert_array_equal(
                features[name], [row[name][0] for row in part]
            )
        padded = [(row["tags"] + [0, 0, 0])[:3] for row in part]
        np.testing.assert_array_equal(features["tags"], padded)
    assert start == 53


def test_element_spec_is_the_contract(data):
    features, label = data.dataset("train", 10).element_spec
    assert label == tf.TensorSpec([None], tf.float32)
    assert features["tags"] == tf.TensorSpec([None, 3], tf.int64)
    assert features["price"] == tf.TensorSpec([None], tf.float32)
    assert {v.dtype for k, v in features.items() if k != "price"} == {tf.int64}
    assert set(features) == {USER, *(f.name for f in SPEC.features())}


def test_last_batch_is_kept_unless_dropped(data):
    kept = [len(y) for _, y in data.dataset("train", 10)]
    assert kept == [10, 10, 10, 10, 10, 3]
    dropped = data.dataset("train", 10, drop_remainder=True)
    assert [len(y) for _, y in dropped] == [10] * 5
    assert (data.steps("train", 10), data.steps("train", 10, True)) == (6, 5)
    assert len(dropped) == 5


def test_shuffling_keeps_every_row_and_follows_the_seed(data):
    plain = prices(data.dataset("train", 10))
    one, again, two = (
        prices(data.dataset("train", 10, shuffle=True, seed=seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != two).any() and (one != plain).any()
    np.testing.assert_array_equal(np.sort(one), np.sort(plain))


def test_a_dataset_iterated_again_is_the_same(data):
    """Keras makes a second iterator where one epoch is all there is."""
    dataset = data.dataset("train", 10, shuffle=True, seed=1)
    np.testing.assert_array_equal(prices(dataset), prices(dataset))


@pytest.mark.parametrize("global_seed", [None, 5])
def test_an_epoch_is_the_same_alone_and_after_others(data, global_seed):
    tf.random.set_seed(global_seed)

    def epochs(*numbers):
        return prices(
            data.dataset("train", 10, shuffle=True, seed=1, epochs=range(*numbers))
        )

    both = epochs(0, 2)
    assert len(both) == 2 * 53
    assert (both[:53] != both[53:]).any()
    np.testing.assert_array_equal(both[53:], epochs(1, 2))


def test_weights_come_third(tmp_path):
    weighted = rows(7, seed=2, weighted=True)
    write_prepared(tmp_path, {"train": weighted}, shards=1)
    ((_, _, weight),) = PreparedData.load(tmp_path).dataset("train", 7)
    np.testing.assert_array_equal(weight, [row[WEIGHT][0] for row in weighted])


def test_unfinished_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="not a finished output"):
        PreparedData.load(tmp_path)


def test_other_spec_is_refused(folder):
    other = FeatureSpec.from_yaml(SPEC.to_yaml().replace("small", "other"))
    with pytest.raises(ManifestError, match="prepared under another spec"):
        PreparedData.load(folder, spec=other)


def test_other_vocabulary_is_refused(data):
    data.check_encoding(ENCODING)
    fewer = {**ENCODING.vocabularies, "item": ("1", "0")}
    with pytest.raises(ManifestError, match="encoded with other vocabularies"):
        data.check_encoding(dataclasses.replace(ENCODING, vocabularies=fewer))


def test_unknown_split_is_refused(data):
    with pytest.raises(ManifestError, match="no split 'test'"):
        data.dataset("test", 10)
    with pytest.raises(ManifestError, match="no split 'test'"):
        data.steps("test", 10)


def test_empty_split_is_refused(tmp_path):
    folder = write_prepared(tmp_path, {"train": TRAIN, "val": []})
    with pytest.raises(ManifestError, match="split 'val' has no rows"):
        PreparedData.load(folder).dataset("val", 10)


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_damaged_shard_is_refused(tmp_path, damage):
    folder = write_prepared(tmp_path, {"train": TRAIN})
    shard = next(folder.glob("train-*"))
    if damage == "missing":
        shard.unlink()
    else:
        stored = bytearray(shard.read_bytes())
        stored[-1] ^= 1
        shard.write_bytes(stored)
    with pytest.raises(ManifestError, match=damage):
        PreparedData.load(folder).dataset("train", 10)


def test_batch_size_must_be_positive(data):
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        data.dataset("train", 0)
