"""Checks of a request's tensors against a signature, before anything runs.

TensorFlow itself names an operation of the graph where a tensor has a wrong rank
or size, and the position of an argument where it has a wrong dtype.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.tensors import DTYPES

_AXES = ("rows", "items")


def check_tensors(
    arrays: Mapping[str, np.ndarray], infos: Mapping[str, meta_graph_pb2.TensorInfo]
) -> None:
    """Checks dtypes, then ranks, then sizes; the message names the input.

    Args:
        arrays: The tensors of a request by input name, of all inputs.
        infos: TensorInfos of the signature's inputs, by the same names.

    Raises:
        SessionError: INVALID_ARGUMENT: says which input, what it must be and
            what came.
    """
    for name, array in arrays.items():
        expected = DTYPES.get(infos[name].dtype)
        if expected is not None and _text(array.dtype) != _text(expected):
            raise _invalid(name, f"must be {_text(expected)}", _text(array.dtype))
    expected_shapes = {name: _shape(infos[name]) for name in arrays}
    shapes = {name: s for name, s in expected_shapes.items() if s is not None}
    for name, shape in shapes.items():
        _check_shape(name, arrays[name], shape)
    for axis, what in enumerate(_AXES):
        _check_equal(arrays, shapes, axis, what)


def _check_shape(name: str, array: np.ndarray, shape: list[int]) -> None:
    """Checks the rank, and the sizes that the signature fixes."""
    came = f"shape {list(array.shape)}"
    if array.ndim != len(shape):
        axes = ["any" if size < 0 else str(size) for size in shape]
        if all(size < 0 for size in shape) and len(shape) <= len(_AXES):
            axes = list(_AXES[: len(shape)])
        raise _invalid(
            name,
            f"must have rank {len(shape)}, [{', '.join(axes)}]",
            f"rank {array.ndim}, {came}",
        )
    for axis, size in enumerate(shape):
        if size >= 0 and array.shape[axis] != size:
            raise _invalid(name, f"must have size {size} in dimension {axis}", came)


def _check_equal(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, list[int]],
    axis: int,
    what: str,
) -> None:
    """Checks that the inputs whose size is free in a dimension agree in it."""
    sizes = {
        name: arrays[name].shape[axis]
        for name, shape in shapes.items()
        if len(shape) > axis and shape[axis] < 0
    }
    if len(set(sizes.values())) <= 1:
        return
    ((usual, _),) = Counter(sizes.values()).most_common(1)
    other = next(name for name, size in sizes.items() if size == usual)
    name = next(name for name, size in sizes.items() if size != usual)
    raise _invalid(name, f"must have {usual} {what}, as {other!r}", str(sizes[name]))


def _shape(info: meta_graph_pb2.TensorInfo) -> list[int] | None:
    """Sizes by dimension, -1 where any will do; None where any rank will do."""
    if info.tensor_shape.unknown_rank:
        return None
    return [dim.size for dim in info.tensor_shape.dim]


def _text(dtype: np.dtype) -> str:
    return "string" if dtype.kind in "OSU" else dtype.name


def _invalid(name: str, expectation: str, came: str) -> SessionError:
    return SessionError(
        Code.INVALID_ARGUMENT, f"input {name!r} {expectation}, got {came}"
    )
