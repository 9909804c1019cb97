"""Requests of the serving protocol, run on a session.

Checks, codes and messages are those of TensorFlow Serving (predict_util.cc,
classifier.cc, regressor.cc).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    input_pb2,
    predict_pb2,
    regression_pb2,
)

from hgr_tf.export.runtime.c_library import Code, SessionError
from hgr_tf.export.runtime.input_checks import check_tensors
from hgr_tf.export.runtime.session import ServingSession
from hgr_tf.export.runtime.tensor_protos import to_array, to_proto

DEFAULT_SIGNATURE = "serving_default"
REQUEST_FILE = Path("assets.extra") / "request.json"
"""A request for the REST API that the export leaves in each version."""


def run_predict(
    session: ServingSession,
    request: predict_pb2.PredictRequest,
    timeout_ms: int | None = None,
) -> predict_pb2.PredictResponse:
    """Answers a Predict request, but for the model spec.

    Raises:
        SessionError: FAILED_PRECONDITION: no such signature;
            INVALID_ARGUMENT: not its inputs or outputs, or wrong tensors.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in session.signatures:
        raise SessionError(
            Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    signature = session.signatures[name]
    _check_names(set(request.inputs), set(signature.inputs))
    arrays = {key: to_array(proto, key) for key, proto in request.inputs.items()}
    check_tensors(arrays, signature.inputs)
    feeds = {signature.inputs[key].name: array for key, array in arrays.items()}
    outputs = _wanted(request.output_filter, signature.outputs)
    results = session.run(
        feeds, [signature.outputs[k].name for k in outputs], timeout_ms
    )
    response = predict_pb2.PredictResponse()
    for key, array in zip(outputs, results, strict=True):
        response.outputs[key].CopyFrom(to_proto(array))
    return response


def run_classify(
    session: ServingSession,
    request: classification_pb2.ClassificationRequest,
    timeout_ms: int | None = None,
) -> classification_pb2.ClassificationResponse:
    """Answers a Classify request, but for the model spec.

    Raises:
        SessionError: INVALID_ARGUMENT: the signature does not classify, or
            there is no example.
    """
    outputs = _run_examples(session, request, {"classes", "scores"}, timeout_ms)
    response = classification_pb2.ClassificationResponse()
    for labels, scores in zip(outputs["classes"], outputs["scores"], strict=True):
        classes = response.result.classifications.add().classes
        for label, score in zip(labels, scores, strict=True):
            classes.add(label=label.decode(), score=score)
    return response


def run_regress(
    session: ServingSession,
    request: regression_pb2.RegressionRequest,
    timeout_ms: int | None = None,
) -> regression_pb2.RegressionResponse:
    """Answers a Regress request, but for the model spec.

    Raises:
        SessionError: INVALID_ARGUMENT: the signature does not regress, or
            there is no example.
    """
    outputs = _run_examples(session, request, {"outputs"}, timeout_ms)
    response = regression_pb2.RegressionResponse()
    for value in outputs["outputs"].ravel():
        response.result.regressions.add(value=value)
    return response


def _check_names(sent: set[str], expected: set[str]) -> None:
    if sent == expected:
        return
    raise SessionError(
        Code.INVALID_ARGUMENT,
        f"input size does not match signature: {len(sent)}!={len(expected)} "
        f"len({_braced(sent)}) != len({_braced(expected)}). "
        f"Sent extra: {_braced(sent - expected)}. "
        f"Missing but required: {_braced(expected - sent)}.",
    )


def _wanted(output_filter: Iterable[str], outputs: Collection[str]) -> list[str]:
    wanted = list(output_filter) or sorted(outputs)
    for i, key in enumerate(wanted):
        if key not in outputs:
            raise SessionError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {key} "
                f"Outputs expected to be in the set {_braced(outputs)}.",
            )
        if key in wanted[:i]:
            raise SessionError(
                Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {key}"
            )
    return wanted


def _run_examples(
    session: ServingSession,
    request: classification_pb2.ClassificationRequest
    | regression_pb2.RegressionRequest,
    outputs: set[str],
    timeout_ms: int | None,
) -> dict[str, np.ndarray]:
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in session.signatures:
        raise SessionError(
            Code.INVALID_ARGUMENT, f"No signature was found with the name: {name}"
        )
    signature = session.signatures[name]
    if set(signature.inputs) != {"inputs"} or set(signature.outputs) != outputs:
        raise SessionError(
            Code.INVALID_ARGUMENT,
            f"Expected a signature from {{inputs}} to {_braced(outputs)}, but "
            f"{name} is from {_braced(signature.inputs)} to "
            f"{_braced(signature.outputs)}.",
        )
    keys = sorted(outputs)
    arrays = session.run(
        {signature.inputs["inputs"].name: _serialized(request.input)},
        [signature.outputs[key].name for key in keys],
        timeout_ms,
    )
    return dict(zip(keys, arrays, strict=True))


def _serialized(inputs: input_pb2.Input) -> np.ndarray:
    kind = inputs.WhichOneof("kind")
    context = b""
    examples = ()
    if kind is not None:
        part = getattr(inputs, kind)
        examples = part.examples
        if kind == "example_list_with_context":
            context = part.context.SerializeToString()
    if not examples:
        raise SessionError(Code.INVALID_ARGUMENT, "Input is empty.")
    # Protos merge by concatenation: the context's features, then the example's.
    serialized = [context + example.SerializeToString() for example in examples]
    return np.array(serialized, object)


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
