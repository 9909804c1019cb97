"""`serving_default`: scores of raw rows."""

from __future__ import annotations

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.signature import (
    ConcreteFunction,
    Signature,
    fill,
    trace,
    with_same_shape,
)


class ServingDefault(Signature):
    """Raw tensors [B, ...] by feature name to probabilities [B]."""

    def trace(self) -> ConcreteFunction:
        """Encodes and scores."""
        specs = self.features.tensor_specs()

        def score(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            raw = with_same_shape(raw, list(specs), 1)
            return self.outputs(self.logits(self.features(raw)))

        return trace(score, specs)

    @classmethod
    def log_request(
        cls, log: prediction_log_pb2.PredictionLog, requests: SampleRequests, rows: int
    ) -> Message:
        """Rows of raw tensors."""
        return fill(log.predict_log.request, requests.raw(rows))
