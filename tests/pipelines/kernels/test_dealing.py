import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.kernels.dealing import dealt


def test_rows_come_to_their_targets_in_order():
    table = pa.table({"x": [0, 1, 2, 3]})
    found = dealt(table, np.array([7, 2, 7, 2]))
    assert [(target, part["x"].to_pylist()) for target, part in found] == [
        (2, [1, 3]),
        (7, [0, 2]),
    ]


def test_no_rows_come_to_no_target():
    """As of a batch whose rows are all negatives that are not kept."""
    assert dealt(pa.table({"x": pa.array([], pa.int64())}), np.array([], int)) == []
