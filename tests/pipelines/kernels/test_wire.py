"""Wire bytes against tf.train.Example, on any batch."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hgr_tf.pipelines.kernels.tfrecord import frame
from hgr_tf.pipelines.kernels.wire import (
    concatenated,
    float_entries,
    int64_entries,
    int64_list_entries,
    messages,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32, allow_nan=True)
KEYS = st.text(min_size=1, max_size=200)


def example(**features):
    message = tf.train.Example()
    for key, value in features.items():
        feature = message.features.feature[key]
        if isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            # Touching the list marks it as set, when it is empty too.
            feature.int64_list.SetInParent()
            feature.int64_list.value.extend(value)
    return message.SerializeToString(deterministic=True)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.tuples(INT64, st.lists(INT64, max_size=30), FLOAT32), min_size=1, max_size=20
    ),
    key=KEYS,
)
def test_equals_tf_train_example(rows, key):
    ids, lists, floats = zip(*rows, strict=True)
    names = [f"a{key}", f"b{key}", f"c{key}"]
    entries = [
        int64_entries(names[0], np.array(ids, np.int64)),
        int64_list_entries(names[1], pa.array(lists, pa.list_(pa.int64()))),
        float_entries(names[2], np.array(floats, np.float32)),
    ]
    ours = messages(1, entries).to_pylist()
    theirs = [
        example(**dict(zip(names, ([i], list_, float(f)), strict=True)))
        for i, list_, f in rows
    ]
    assert ours == theirs


def test_slices_serialize_their_own_rows():
    lists = pa.array([[1], [2, 300], [], [4]], pa.list_(pa.int64())).slice(1, 2)
    ours = messages(1, [int64_list_entries("k", lists)]).to_pylist()
    assert ours == [example(k=[2, 300]), example(k=[])]


def test_no_rows():
    assert messages(1, [int64_entries("k", np.array([], np.int64))]).to_pylist() == []


@pytest.mark.parametrize("records", [[b""], [b"x" * 300, b"", b"\x00" * 5], []])
def test_frames_are_read_by_tensorflow(tmp_path, records):
    data = bytes(frame(pa.array(records, pa.large_binary())))
    (tmp_path / "r").write_bytes(data)
    dataset = tf.data.TFRecordDataset([str(tmp_path / "r")])
    assert list(dataset.as_numpy_iterator()) == records


def test_frames_of_a_slice():
    records = pa.array([b"a", b"bb", b"ccc"], pa.large_binary())
    assert bytes(frame(records.slice(1, 1))) == bytes(
        frame(pa.array([b"bb"], pa.large_binary()))
    )


def test_concatenation_keeps_rows_apart():
    parts = [pa.array([b"a", b"b"]), pa.array([b"", b"c"])]
    assert concatenated(parts).to_pylist() == [b"a", b"bc"]


def test_nan_payloads_survive():
    ours = messages(1, [float_entries("x", np.array([math.nan], np.float32))])
    read = tf.train.Example.FromString(ours[0].as_py())
    assert math.isnan(read.features.feature["x"].float_list.value[0])
