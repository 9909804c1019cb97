import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hgr_tf.data.parquet_shards import padded
from hgr_tf.data.row_store import RowLayout, RowStore
from hgr_tf.features import LABEL, USER
from hgr_tf.features.kind import Form

LAYOUT = RowLayout(
    ids=("a", "b"),
    floats=("x", LABEL),
    lists={"tags": Form("", "int64", 3), "vector": Form("", "float32", 2)},
)


def test_rows_come_back_as_they_were_written():
    random = np.random.default_rng(0)
    columns = {
        "a": random.integers(9, size=3000),
        "b": random.integers(9, size=3000),
        "x": random.random(3000, np.float32),
        LABEL: random.random(3000, np.float32),
        "tags": random.integers(9, size=(3000, 3)),
        "vector": random.random((3000, 2), np.float32),
        USER: random.integers(2**62, size=3000),
    }
    store = RowStore(LAYOUT, 3000)
    store.fill(0, {name: column[:1700] for name, column in columns.items()})
    store.fill(1700, {name: column[1700:] for name, column in columns.items()})
    rows = random.integers(3000, size=500)
    ids, floats, users, tags, vectors = store.take(rows)
    np.testing.assert_array_equal(ids, [columns["a"][rows], columns["b"][rows]])
    np.testing.assert_array_equal(floats, [columns["x"][rows], columns[LABEL][rows]])
    np.testing.assert_array_equal(users, columns[USER][rows])
    np.testing.assert_array_equal(tags, columns["tags"][rows])
    np.testing.assert_array_equal(vectors, columns["vector"][rows])
    types = [array.dtype for array in (ids, floats, users, tags, vectors)]
    assert types == [np.int64, np.float32, np.int64, np.int64, np.float32]


def test_memory_of_a_row_is_what_its_arrays_take():
    store = RowStore(LAYOUT, 10)
    arrays = [store._ids, store._floats, store._users, *store._lists.values()]
    assert sum(array.nbytes for array in arrays) == 10 * LAYOUT.row_bytes


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), max_size=8), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_lists_are_padded_and_cut(lists, size):
    values = np.array([value for one in lists for value in one], np.int64)
    lengths = np.array([len(one) for one in lists], np.int64)
    expected = [(one + [0] * size)[:size] for one in lists]
    got = padded(values, lengths, size)
    assert got.shape == (len(lists), size)
    assert got.tolist() == expected
