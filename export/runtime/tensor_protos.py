"""TensorProtos of numpy arrays, and back, without TensorFlow's Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.tensors import DTYPES, ENUMS, text_bytes

_MOST_REPEATED = 1 << 20
"""Values of a tensor that repeats its last one: a few bytes must not fill the
memory of a server."""

_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_STRING: "string_val",
}


def to_array(proto: tensor_pb2.TensorProto, name: str) -> np.ndarray:
    """The array in a TensorProto.

    Args:
        proto: Proto of a request.
        name: Name of the input, for the message.

    Raises:
        SessionError: INVALID_ARGUMENT: the dtype or shape is not supported,
            or there are more or fewer values than the shape has.
    """
    if proto.dtype not in DTYPES:
        known = proto.dtype in types_pb2.DataType.values()
        dtype = types_pb2.DataType.Name(proto.dtype) if known else proto.dtype
        raise _invalid(name, f"dtype {dtype}")
    if proto.tensor_shape.unknown_rank:
        raise _invalid(name, "a shape of unknown rank")
    dtype = DTYPES[proto.dtype]
    shape = [d.size for d in proto.tensor_shape.dim]
    if min(shape, default=0) < 0:
        raise _invalid(name, f"shape {shape}")
    size = math.prod(shape)
    if proto.tensor_content and not dtype.hasobject:
        if len(proto.tensor_content) != size * dtype.itemsize:
            raise _invalid(
                name, f"{len(proto.tensor_content)} bytes for the shape {shape}"
            )
        array = np.frombuffer(proto.tensor_content, dtype)
    else:
        values = getattr(proto, _FIELDS[proto.dtype])
        if not _can_fill(size, len(values)):
            raise _invalid(name, f"too few or many values for the shape {shape}")
        array = _repeated_last(values, size, dtype)
    try:
        return array.reshape(shape)
    except ValueError as error:  # such as more dimensions than numpy has
        raise _invalid(name, f"shape {shape}") from error


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """A TensorProto of an array; strings have dtype object, see `text_bytes`."""
    proto = tensor_pb2.TensorProto(dtype=ENUMS[array.dtype])
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.hasobject:
        proto.string_val.extend(map(text_bytes, array.ravel()))
    else:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    return proto


def _can_fill(size: int, count: int) -> bool:
    """Whether `count` values, the last one repeated, may be `size` values."""
    if count > size or (size and not count):
        return False
    return size <= max(count, _MOST_REPEATED)


def _repeated_last(values: Sequence[object], size: int, dtype: np.dtype) -> np.ndarray:
    """The values, the last one repeated up to `size`."""
    array = np.empty(size, dtype)
    array[: len(values)] = values
    if size:
        array[len(values) :] = values[-1]
    return array


def _invalid(name: str, what: str) -> SessionError:
    return SessionError(
        Code.INVALID_ARGUMENT, f"tensor parsing error: {name}: got {what}"
    )
