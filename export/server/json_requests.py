"""The REST API's JSON as requests of the serving protocol, and back.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    input_pb2,
    predict_pb2,
    regression_pb2,
)

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.tensor_protos import to_array, to_proto
from hgr_tf.export.runtime.tensors import DTYPES

ROW, COLUMNAR = "instances", "inputs"
_MOST_DIMENSIONS = 32  # numpy's limit
_MOST_DIGITS = 400  # floats have 309; Python refuses to read more than 4,300


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request; NaN and Infinity are numbers in it."""
    try:
        request = json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise invalid("JSON Parse error: the document is not an object")
    return request


def _parse_int(digits: str) -> int:
    """The integer; one past every dtype is cut, and is still past every dtype."""
    return int(digits[:_MOST_DIGITS])


def fill_predict(
    request: predict_pb2.PredictRequest,
    body: Mapping[str, Any],
    signature_inputs: Mapping[str, meta_graph_pb2.TensorInfo],
) -> str:
    """Fills a PredictRequest from {"instances": ...} or {"inputs": ...}.

    Args:
        request: Its inputs are set.
        body: The JSON.
        signature_inputs: TensorInfos of the signature, by name.

    Returns:
        The format, which the answer has too: `ROW` or `COLUMNAR`.

    Raises:
        SessionError: INVALID_ARGUMENT: not such tensors.
    """
    given = [key for key in (ROW, COLUMNAR) if key in body]
    if len(given) != 1:
        raise invalid("Request must have exactly one of 'inputs' or 'instances' key")
    columns = body[given[0]]
    names = set(signature_inputs)
    if given == [ROW]:
        columns = _columns_of_rows(columns, names)
    elif not isinstance(columns, dict) or set(columns) - names:
        if len(names) != 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        columns = {next(iter(names)): columns}
    for name, values in columns.items():
        array = _to_array(name, values, signature_inputs[name].dtype)
        request.inputs[name].CopyFrom(to_proto(array))
    return given[0]


def predict_response(
    response: predict_pb2.PredictResponse, format_: str
) -> dict[str, Any]:
    """JSON of a PredictResponse, in the format of the request."""
    outputs = {
        key: _to_json(to_array(proto, key), key)
        for key, proto in response.outputs.items()
    }
    single = next(iter(outputs.values())) if len(outputs) == 1 else None
    if format_ == COLUMNAR:
        return {"outputs": outputs if single is None else single}
    if single is not None:
        return {"predictions": single}
    rows = [
        dict(zip(outputs, row, strict=True))
        for row in zip(*outputs.values(), strict=True)
    ]
    return {"predictions": rows}


def fill_examples(inputs: input_pb2.Input, body: Mapping[str, Any]) -> None:
    """Fills an Input from {"examples": [...], "context": {...}}."""
    examples = body.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid("When key 'examples' is missing or not a list there is no input")
    target = inputs.example_list.examples
    if "context" in body:
        part = inputs.example_list_with_context
        part.context.CopyFrom(_to_example(body["context"]))
        target = part.examples
    target.extend(_to_example(example) for example in examples)


def classify_response(
    response: classification_pb2.ClassificationResponse,
) -> dict[str, Any]:
    """JSON of a ClassificationResponse: [[label, score], ...] an example."""
    return {
        "results": [
            [[c.label, c.score] for c in classifications.classes]
            for classifications in response.result.classifications
        ]
    }


def regress_response(response: regression_pb2.RegressionResponse) -> dict[str, Any]:
    """JSON of a RegressionResponse: a value per example."""
    return {"results": [r.value for r in response.result.regressions]}


def invalid(message: str) -> SessionError:
    """An INVALID_ARGUMENT."""
    return SessionError(Code.INVALID_ARGUMENT, message)


def _columns_of_rows(rows: object, names: set[str]) -> dict[str, list]:
    if not isinstance(rows, list) or not rows:
        raise invalid("'instances' must be a list of at least one item")
    is_value = not isinstance(rows[0], dict) or set(rows[0]) == {"b64"}
    if len(names) == 1 and is_value:
        return {next(iter(names)): rows}
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != names:
            raise invalid(
                f"Failed to process element: {i} of 'instances' list. JSON object "
                f"keys must be equal to: {','.join(sorted(names))}"
            )
    return {name: [row[name] for row in rows] for name in names}


def _to_array(name: str, values: object, dtype_enum: int) -> np.ndarray:
    """A tensor of nested lists; every value must be of the dtype's JSON type."""
    dtype = DTYPES[dtype_enum]
    shape: list[int] = []
    flat = values
    while isinstance(flat, list):
        shape.append(len(flat))
        flat = flat[0] if flat else None
    if len(shape) > _MOST_DIMENSIONS:
        raise invalid(f"input {name!r}: {len(shape)} dimensions")
    leaves = _leaves(values, tuple(shape), name)
    kinds = {"O": (str, dict), "i": (int,), "b": (bool,), "f": (int, float)}[dtype.kind]
    for leaf in leaves:
        if not isinstance(leaf, kinds) or (
            isinstance(leaf, bool) and dtype.kind != "b"
        ):
            raise invalid(
                f"JSON Value: {json.dumps(leaf)} of input {name!r} is not of expected "
                f"type: {dtype.name if dtype.kind != 'O' else 'string'}"
            )
    if dtype.kind == "i":
        _check_range(name, leaves, dtype)
    array = np.empty(len(leaves), dtype)
    try:
        array[:] = [_bytes(leaf) for leaf in leaves] if dtype.hasobject else leaves
    except OverflowError as error:  # an integer past every float
        raise invalid(
            f"input {name!r} must be {dtype.name}, got an integer past its range"
        ) from error
    return array.reshape(shape)


def _check_range(name: str, leaves: list[int], dtype: np.dtype) -> None:
    """Refuses integers that numpy would wrap, or refuse without a name."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    for leaf in leaves:
        if not low <= leaf <= high:
            text = str(leaf)
            came = text if len(text) <= 40 else f"an integer of {len(text)} characters"
            raise invalid(
                f"input {name!r} must be {dtype.name}, between {low} and {high}, "
                f"got {came}"
            )


def _leaves(values: object, shape: tuple[int, ...], name: str) -> list:
    if not shape:
        if isinstance(values, list):
            raise invalid(f"input {name!r}: Encountered list at unexpected level")
        return [values]
    if not isinstance(values, list) or len(values) != shape[0]:
        raise invalid(f"input {name!r}: Encountered list at unexpected size: ragged")
    return [leaf for value in values for leaf in _leaves(value, shape[1:], name)]


def _bytes(value: str | dict[str, Any]) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise invalid(f"JSON Value: {json.dumps(value)} is not text") from error
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise invalid(
            f"JSON Value: {json.dumps(value)} not formatted correctly for base64 data"
        ) from error


def _to_json(array: np.ndarray, name: str) -> Any:
    if not array.dtype.hasobject:
        return array.tolist()
    # By convention only an output named *_bytes holds more than text.
    if name.endswith("_bytes"):
        encode = np.vectorize(lambda b: {"b64": base64.b64encode(b).decode()}, "O")
    else:
        encode = np.vectorize(lambda b: b.decode(errors="replace"), "O")
    return encode(array).tolist()


def _to_example(features: object) -> example_pb2.Example:
    if not isinstance(features, dict):
        raise invalid("Example must be JSON object")
    example = example_pb2.Example()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        slot = example.features.feature[name]
        if all(isinstance(v, (str, dict)) for v in values):
            slot.bytes_list.value.extend(map(_bytes, values))
        elif any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
            raise invalid(f"Feature: {name} has element with unexpected JSON type")
        elif all(isinstance(v, int) for v in values):
            if any(not -(2**63) <= v < 2**63 for v in values):
                raise invalid(f"Feature: {name} has an integer past 64 bits")
            slot.int64_list.value.extend(values)
        else:
            slot.float_list.value.extend(values)
    return example
