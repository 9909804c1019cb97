import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hgr_tf.data import ManifestError, PreparedData, reader
from hgr_tf.data.batches import Batches
from hgr_tf.data.calls import CALLS
from hgr_tf.data.parquet_shards import ParquetShards
from hgr_tf.data.row_store import RowLayout
from hgr_tf.features import LABEL, USER, WEIGHT, FeatureSpec
from tests.prepared import ENCODING, SPEC, rows, write_prepared

TRAIN, VAL = rows(53, seed=0), rows(20, seed=1)


@pytest.fixture(scope="module", params=["parquet", "tfrecord"])
def folder(tmp_path_factory, request):
    return _prepared(tmp_path_factory, request.param)


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    return _prepared(tmp_path_factory, "parquet")


def _prepared(tmp_path_factory, output_format):
    folder = tmp_path_factory.mktemp("prepared")
    splits = {"train": TRAIN, "val": VAL}
    return write_prepared(folder, splits, 3, output_format)


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


def test_an_epoch_is_the_same_alone_and_after_others(data):
    def epochs(*numbers):
        return prices(
            data.dataset("train", 10, shuffle=True, seed=1, epochs=range(*numbers))
        )

    both = epochs(0, 2)
    assert len(both) == 2 * 53
    assert (both[:53] != both[53:]).any()
    np.testing.assert_array_equal(both[53:], epochs(1, 2))


@pytest.mark.parametrize("shuffle_buffer", [None, 20])
@pytest.mark.parametrize("cache", ["memory", "none"])
def test_a_run_goes_on_at_any_step(folder, cache, shuffle_buffer):
    given = dict(shuffle=True, seed=4, shuffle_buffer=shuffle_buffer)
    data = PreparedData.load(folder, cache=cache)
    steps = data.steps("train", 10)
    whole = list(data.dataset("train", 10, epochs=range(2), **given))
    for step in range(0, 2 * steps, 3):
        epoch, done = divmod(step, steps)
        rest = PreparedData.load(folder, cache=cache).dataset(
            "train", 10, epochs=range(epoch, 2), first_step=done, **given
        )
        assert len(rest) == 2 * steps - step
        for (one, label), (other, same) in zip(rest, whole[step:], strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, one, other)
            np.testing.assert_array_equal(label, same)


def test_both_formats_give_the_same_batches_in_order(tmp_path_factory):
    one, other = (
        PreparedData.load(_prepared(tmp_path_factory, kind)).dataset("train", 10)
        for kind in ("parquet", "tfrecord")
    )
    assert one.element_spec == other.element_spec
    for batch, same in zip(one, other, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, same)


@given(
    batch_size=st.integers(1, 60),
    shuffle_buffer=st.none() | st.integers(1, 60),
    seed=st.integers(0, 2**31 - 1),
    workers=st.integers(1, 3),
    cache=st.sampled_from(["memory", "none"]),
    shuffle=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_each_epoch_has_each_row_once(
    columns, batch_size, shuffle_buffer, seed, workers, cache, shuffle
):
    """Over all workers; whatever the buffer, and whether rows are kept or not."""
    data = PreparedData.load(columns, cache=cache)

    def epoch(worker):
        return [
            features["price"].numpy()
            for features, _ in data.dataset(
                "train",
                batch_size,
                shuffle=shuffle,
                seed=seed,
                shuffle_buffer=shuffle_buffer,
                worker=worker,
            )
        ]

    parts = [epoch((index, workers)) for index in range(workers)]
    batches = [np.concatenate(shares) for shares in zip(*parts, strict=True)]
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(batches)), np.sort([row["price"][0] for row in TRAIN])
    )
    # The shares of all workers are the batches of one.
    for batch, same in zip(batches, epoch((0, 1)), strict=True):
        np.testing.assert_array_equal(batch, same)


def test_a_whole_split_is_shuffled_as_one(columns):
    """Every row may come first: no bound of a shard or of a row group stays."""
    data = PreparedData.load(columns)
    firsts = {
        float(prices(data.dataset("train", 53, shuffle=True, seed=seed))[0])
        for seed in range(60)
    }
    assert len(firsts) > 25  # 53 rows; 36 distinct firsts are to be expected


def test_tfrecords_that_were_written_shuffled_are_shuffled_in_parts(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(reader, "TFRECORD_BUFFER", 20)
    folder = write_prepared(
        tmp_path, {"train": TRAIN}, 3, "tfrecord", layout="shuffled"
    )
    data = PreparedData.load(folder)
    got = prices(data.dataset("train", 18, shuffle=True, seed=1))
    shards = [{np.float32(r["price"][0]) for r in TRAIN[i::3]} for i in range(3)]
    ends = np.cumsum([next(len(s) for s in shards if x in s) for x in got[[0, 20, 50]]])
    for part in np.split(got, ends[:-1]):
        assert set(part) in shards
    whole = prices(data.dataset("train", 18, shuffle=True, seed=1, shuffle_buffer=53))
    assert set(whole[:18]) not in shards


@pytest.fixture
def decoded(monkeypatch):
    """Units of Parquet in the order in which they are decoded."""
    units, decode = [], ParquetShards.decode
    monkeypatch.setattr(
        ParquetShards, "decode", lambda *a: units.append(a[1]) or decode(*a)
    )
    return units


def test_rows_that_do_not_fit_are_streamed(columns, decoded):
    """With room for two row groups, each epoch decodes all of them again."""
    data = PreparedData.load(columns)
    data._memory = 16 * RowLayout.of(ENCODING, has_weight=False).row_bytes
    got = prices(data.dataset("train", 10, shuffle=True, seed=1, epochs=range(2)))
    assert len(decoded) == 2 * 9  # row groups of 8 rows in shards of 18, 18 and 17
    expected = np.sort([row["price"][0] for row in TRAIN])
    np.testing.assert_array_equal(np.sort(got[:53]), expected)
    np.testing.assert_array_equal(np.sort(got[53:]), expected)


def test_rows_that_fit_are_decoded_once(columns, decoded):
    data = PreparedData.load(columns)
    for shuffle in (True, False):
        list(data.dataset("train", 10, shuffle=shuffle, epochs=range(3)))
    assert len(decoded) == 9


def test_decoding_starts_with_the_dataset_where_rows_stay_in_memory(columns, decoded):
    streamed = PreparedData.load(columns, cache="none")
    kept = PreparedData.load(columns)
    streamed.dataset("train", 16, shuffle=True)
    streamed._source("train")._executor.shutdown(wait=True)
    assert not decoded
    kept.dataset("train", 16, shuffle=True)
    kept._source("train")._executor.shutdown(wait=True)
    assert len(decoded) == 9


def test_calls_of_tensorflow_are_counted(columns, monkeypatch):
    """As the process ends, it waits for them: see `hgr_tf.data.calls`."""
    running, take = [], Batches.__getitem__
    monkeypatch.setattr(
        Batches,
        "__getitem__",
        lambda *a: running.append(CALLS._running) or take(*a),
    )
    list(PreparedData.load(columns).dataset("train", 16))
    assert running and all(running)
    CALLS.wait_for_the_last()
    assert CALLS._running == 0


def test_too_little_memory_for_a_row_group_is_refused(columns):
    data = PreparedData.load(columns)
    data._memory = 1
    with pytest.raises(ValueError, match=r"`memory_mb` must be at least 2 .* got 0"):
        data.dataset("train", 10)


@pytest.mark.fault(
    "data",
    "a shard is damaged while a run reads it",
    "the run ends; the error names the shard and says what to do",
)
@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("damage", ["missing", "altered"])
@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_a_shard_damaged_in_mid_run_is_named(tmp_path, output_format, damage, cache):
    folder = write_prepared(tmp_path, {"train": TRAIN}, 3, output_format)
    data = PreparedData.load(folder, cache=cache)
    iterator = iter(data.dataset("train", 1))
    next(iterator)
    shard = max(folder.glob("train-*"))
    stored = shard.read_bytes()
    if damage == "missing":
        shard.unlink()
    else:  # somewhere in the data; the footer of Parquet stays whole
        shard.write_bytes(stored[:40] + bytes([stored[40] ^ 255]) + stored[41:])
    message = rf"{shard.name}: {damage}.*restore it, or run `hgr-tf prepare` again"
    with pytest.raises(ManifestError, match=message), data.errors():
        list(iterator)
    shard.write_bytes(stored)
    assert len(prices(data.dataset("train", 5))) == 53


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_the_reader_that_is_asked_for_must_fit(tmp_path, output_format):
    folder = write_prepared(tmp_path, {"train": TRAIN}, 1, output_format)
    fits, other = ["columns", "tfrecord"][:: 1 if output_format == "parquet" else -1]
    assert PreparedData.load(folder, reader=fits).rows("train") == 53
    message = f"holds '{output_format}', but `reader` is '{other}': set it to 'auto'"
    with pytest.raises(ManifestError, match=message):
        PreparedData.load(folder, reader=other)


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_weights_come_third(tmp_path, output_format):
    weighted = rows(7, seed=2, weighted=True)
    write_prepared(tmp_path, {"train": weighted}, 1, output_format)
    ((_, _, weight),) = PreparedData.load(tmp_path).dataset("train", 7)
    np.testing.assert_array_equal(weight, [row[WEIGHT][0] for row in weighted])


@pytest.mark.fault("data", "the prepared folder is unfinished", "refused")
def test_unfinished_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="not a finished output"):
        PreparedData.load(tmp_path)


def test_other_spec_is_refused(folder):
    other = FeatureSpec.from_yaml(SPEC.to_yaml().replace("small", "other"))
    with pytest.raises(ManifestError, match="prepared under another spec"):
        PreparedData.load(folder, spec=other)


@pytest.mark.fault(
    "data",
    "a vocabulary is not the one that rows were encoded with",
    "refused",
)
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


@pytest.mark.fault(
    "data",
    "a shard is damaged before a run",
    "refused before the first step; the error names the shard",
)
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


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"seed": -1}, "`seed` must be at least 0, got -1"),
        ({"shuffle_buffer": 0}, "`shuffle_buffer` must be at least 1, got 0"),
        ({"first_step": 7}, r"`first_step` must be in \[0, 6\], got 7"),
        ({"worker": (2, 2)}, r"`worker` must be .* got \(2, 2\)"),
        ({"epochs": range(0)}, "`epochs` must not be empty"),
    ],
)
def test_wrong_arguments_are_refused(data, argument, message):
    with pytest.raises(ValueError, match=message):
        data.dataset("train", 10, **argument)
