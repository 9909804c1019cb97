"""Signature: what every signature of an export is; they are files of `signatures/`."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.options import SIGNATURES, ExportOptions
from hgr_tf.export.ranker import Outputs, as_logits, each_head
from hgr_tf.export.runtime.outputs import PROBABILITIES, logits_name

ConcreteFunction: TypeAlias = tf.types.experimental.ConcreteFunction
PREDICT = "tensorflow/serving/predict"


class RequestFeatures(Protocol):
    """How requests become encoded features: `RawFeatures` or `EncodedFeatures`."""

    def tensor_specs(self, shape: tuple = (None,)) -> dict[str, tf.TensorSpec]:
        """The inputs by name; `shape` is that of the batch."""

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encodes inputs [B, ...]."""

    def parse(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encodes serialized tf.Examples [B]."""


class Signature(ABC):
    """One signature of a ranker: how it is traced, and what its requests are.

    Attributes:
        method: Its method name, which servers check.
        needs_items: Whether it must know which features are the item's; such a
            signature is only written with an encoding and a ranker that takes an
            item feature.
        of_one_head: Whether the protocol has room for the probability of one head
            alone; of a ranker with several, such a signature is written for each.

    Args:
        ranker: Keras model over a dict of encoded features, giving [B, 1], or a dict
            of these by head.
        features: How requests become encoded features.
        options: What the ranker gives, and what the signature is to give.
        head: The head that a signature `of_one_head` answers for, if there are any.
    """

    method: ClassVar[str] = PREDICT
    needs_items: ClassVar[bool] = False
    of_one_head: ClassVar[bool] = False

    def __init__(
        self,
        ranker: tf.keras.Model,
        features: Any,
        options: ExportOptions,
        head: str | None = None,
    ):
        self.ranker = ranker
        self.features = features
        self.options = options
        self.head = head

    @abstractmethod
    def trace(self) -> ConcreteFunction:
        """Returns the concrete function."""

    @classmethod
    @abstractmethod
    def log_request(
        cls, log: prediction_log_pb2.PredictionLog, requests: SampleRequests, rows: int
    ) -> Message:
        """Puts a request of random values into a warm-up record.

        Args:
            log: The record, empty.
            requests: Draws the values.
            rows: Rows, or items to rank, of the request.

        Returns:
            The request in `log`, whose model_spec the caller fills.
        """

    def logits(self, features: Mapping[str, tf.Tensor]) -> Outputs:
        """Logits [B] of encoded features, calibrated if the options say so."""
        logits = self.as_logits(self.ranker(features, training=False))
        return self.calibrated(logits, features)

    def calibrated(self, logits: Outputs, features: Mapping[str, tf.Tensor]) -> Outputs:
        """Logits [B] after the options' calibration, or as they are without one."""
        calibration = self.options.calibration
        return logits if calibration is None else calibration.logits(logits, features)

    def as_logits(self, outputs: Outputs) -> Outputs:
        """Logits [B] of the ranker's outputs [B, 1]."""
        from_logits = self.options.from_logits
        return each_head(lambda output: as_logits(output, from_logits), outputs)

    def outputs(self, logits: Outputs) -> dict[str, tf.Tensor]:
        """Probabilities by the name of the output, and logits if the options say so."""
        named = logits if isinstance(logits, dict) else {PROBABILITIES: logits}
        outputs = {name: tf.sigmoid(values) for name, values in named.items()}
        if self.options.with_logits:
            outputs |= {logits_name(name): values for name, values in named.items()}
        return outputs


def signature_class(key: str) -> type[Signature]:
    """The signature that a key of `signature_keys` stands for."""
    return SIGNATURES[key.partition("/")[0]]


def signature_keys(names: Collection[str], heads: Collection[str]) -> list[str]:
    """Names of an export's signatures: "regress/click" where one is of one head.

    Args:
        names: Some of `SIGNATURES`.
        heads: The ranker's heads; none of one with a single output.
    """
    return [
        key
        for name in names
        for key in (
            [f"{name}/{head}" for head in heads]
            if heads and signature_class(name).of_one_head
            else [name]
        )
    ]


def make_signature(
    key: str, ranker: tf.keras.Model, features: Any, options: ExportOptions
) -> Signature:
    """The signature of a key of `signature_keys`; arguments as of `Signature`."""
    head = key.partition("/")[2] or None
    return signature_class(key)(ranker, features, options, head)


def trace(
    function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]],
    specs: dict[str, tf.TensorSpec],
) -> ConcreteFunction:
    """Concrete function whose inputs are named as in `specs`.

    Raises:
        ValueError: A name cannot name an input.
    """
    for name in specs:
        # TensorFlow would rename such an input without a word.
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ValueError(
                "a feature's name must be letters, digits and '_', from a letter on, "
                f"to name a serving input; got {name!r}"
            )
    traced = tf.function(lambda **inputs: function(inputs))
    return traced.get_concrete_function(**specs)


def trace_examples(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
) -> ConcreteFunction:
    """Concrete function of serialized tf.Examples [B], its input named "inputs"."""
    spec = {"inputs": tf.TensorSpec([None], tf.string, name="inputs")}
    return trace(lambda request: function(request["inputs"]), spec)


def with_same_shape(
    raw: Mapping[str, tf.Tensor], names: list[str], dims: int
) -> dict[str, tf.Tensor]:
    """`raw`, once its `names` are known to agree in the first `dims` sizes.

    A ranker that multiplies embeddings would broadcast a tensor of one row.
    """
    by_dtype: dict[tf.DType, list[tf.Tensor]] = {}
    for name in names:
        by_dtype.setdefault(raw[name].dtype, []).append(raw[name])
    # Few ops for many inputs: an op costs more than what it does here.
    shapes = [s for tensors in by_dtype.values() for s in tf.shape_n(tensors)]
    sizes = tf.stack([s if s.shape == [dims] else s[:dims] for s in shapes])
    equal = tf.reduce_all(sizes == sizes[:1])
    message = f"these inputs must have equal sizes: {', '.join(names)}"
    check = tf.raw_ops.Assert(condition=equal, data=[message, sizes])
    with tf.control_dependencies([check]):
        return dict(zip(raw, tf.identity_n(list(raw.values())), strict=True))


def fill(
    request: predict_pb2.PredictRequest, values: Mapping[str, np.ndarray]
) -> predict_pb2.PredictRequest:
    """Puts input values by name into a PredictRequest, and returns it."""
    for name, value in values.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request
