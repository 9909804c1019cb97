import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.tensor_protos import to_array, to_proto

ARRAYS = {
    "float32": np.float32([[1.5, np.nan]]),
    "float64": np.array(2.0),
    "int32": np.int32([-1, 2]),
    "int64": np.array([[2**63 - 1], [-(2**63)]]),
    "bool": np.array([True, False]),
    "string": np.array([b"K\xc3\xb6ln", b""], object),
    "no int64": np.zeros([0, 3], np.int64),
    "no string": np.zeros([0], object),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_survive_the_way_there_and_back(case):
    array = ARRAYS[case]
    for proto in (to_proto(array), tf.make_tensor_proto(array)):
        back = to_array(proto, "x")
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
        np.testing.assert_array_equal(tf.make_ndarray(proto), array)


def proto(dtype, shape, **values):
    message = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


def test_the_last_value_is_repeated():
    message = proto(types_pb2.DT_INT64, [4], int64_val=[1, 2])
    assert to_array(message, "x").tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize(
    "message",
    [
        proto(types_pb2.DT_INT64, [2**40], int64_val=[1]),
        proto(types_pb2.DT_INT64, [2**62, 4], int64_val=[1]),
        proto(types_pb2.DT_INT64, [2**62, 4], tensor_content=b"1"),
        proto(types_pb2.DT_INT64, [1] * 100, int64_val=[1]),
        proto(types_pb2.DT_INT64, [-1], int64_val=[1]),
        proto(types_pb2.DT_INT64, [2]),
        proto(types_pb2.DT_INT64, [1], int64_val=[1, 2]),
        proto(types_pb2.DT_COMPLEX64, [1], scomplex_val=[1, 2]),
        proto(999, [1]),
    ],
    ids=str,
)
def test_a_shape_that_cannot_be_is_refused(message):
    with pytest.raises(SessionError, match="tensor parsing error: x: got") as refusal:
        to_array(message, "x")
    assert refusal.value.code == Code.INVALID_ARGUMENT
