"""TF_Tensors of numpy arrays, and back."""

from __future__ import annotations

import ctypes

import numpy as np
from tensorflow.core.framework import types_pb2

from hgr_tf.export.runtime.c_library import Code, SessionError

DTYPES: dict[int, np.dtype] = {
    types_pb2.DT_FLOAT: np.dtype(np.float32),
    types_pb2.DT_DOUBLE: np.dtype(np.float64),
    types_pb2.DT_INT32: np.dtype(np.int32),
    types_pb2.DT_INT64: np.dtype(np.int64),
    types_pb2.DT_BOOL: np.dtype(np.bool_),
    types_pb2.DT_STRING: np.dtype(object),
}
"""numpy's dtype of each TensorFlow dtype a signature here may have."""

ENUMS = {dtype: enum for enum, dtype in DTYPES.items()}
_VIEW = 3  # TF_TString_Type of a string that does not own its bytes
_TSTRING_BYTES = 24


def text_bytes(value: object) -> bytes:
    """UTF-8 of a value among strings; None and NaN, which are no value, are ""."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None or value != value else str(value).encode()


def to_tensor(c: ctypes.CDLL, name: str, array: np.ndarray, alive: list[object]) -> int:
    """Makes a TF_Tensor of an array.

    Args:
        c: The library.
        name: Name of what it is fed to, for the message.
        array: Numbers, or strings; see `text_bytes`.
        alive: Gets what the tensor points into; keep it as long as the tensor.

    Raises:
        SessionError: The dtype has no place in a signature.
    """
    array = np.asarray(array)
    if array.dtype.kind in "SU":
        array = array.astype(object)
    if array.dtype not in ENUMS:
        raise SessionError(
            Code.INVALID_ARGUMENT, f"{name}: arrays of {array.dtype} cannot be fed"
        )
    data = _string_views(array, alive) if array.dtype.hasobject else array
    data = np.ascontiguousarray(data)
    tensor = c.TF_AllocateTensor(
        ENUMS[array.dtype],
        (ctypes.c_int64 * array.ndim)(*array.shape),
        array.ndim,
        data.nbytes,
    )
    ctypes.memmove(c.TF_TensorData(tensor), data.ctypes.data, data.nbytes)
    return tensor


def to_array(c: ctypes.CDLL, tensor: int) -> np.ndarray:
    """Copies a TF_Tensor into an array; strings become bytes."""
    shape = [c.TF_Dim(tensor, i) for i in range(c.TF_NumDims(tensor))]
    dtype = DTYPES[c.TF_TensorType(tensor)]
    address = c.TF_TensorData(tensor)
    if not dtype.hasobject:
        data = ctypes.string_at(address, c.TF_TensorByteSize(tensor))
        return np.frombuffer(data, dtype).reshape(shape)
    strings = np.empty(int(np.prod(shape)), object)
    for i in range(strings.size):
        string = address + i * _TSTRING_BYTES
        strings[i] = ctypes.string_at(
            c.TF_StringGetDataPointer(string), c.TF_StringGetSize(string)
        )
    return strings.reshape(shape)


def _string_views(array: np.ndarray, alive: list[object]) -> np.ndarray:
    """TF_TString_Views of the array's strings: (size and type, address, 0).

    Views own nothing, so that there is nothing to free with the tensor.
    """
    values = list(map(text_bytes, array.ravel()))
    lengths = np.fromiter(map(len, values), np.uint64, len(values))
    joined = ctypes.create_string_buffer(b"".join(values))
    alive.append(joined)
    views = np.zeros((len(values), 3), np.uint64)
    views[:, 0] = lengths << np.uint64(2) | np.uint64(_VIEW)
    views[:, 1] = np.uint64(ctypes.addressof(joined)) + np.cumsum(lengths) - lengths
    return views
