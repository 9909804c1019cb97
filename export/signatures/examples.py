"""`examples`: scores of serialized tf.Examples."""

from __future__ import annotations

import numpy as np
from google.protobuf.message import Message
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.signature import ConcreteFunction, Signature, fill, trace_examples


class Examples(Signature):
    """Serialized tf.Examples [B] of raw values to probabilities [B]."""

    def trace(self) -> ConcreteFunction:
        """Parses, encodes and scores."""
        return trace_examples(
            lambda examples: self.outputs(self.logits(self.features.parse(examples)))
        )

    @classmethod
    def log_request(
        cls, log: prediction_log_pb2.PredictionLog, requests: SampleRequests, rows: int
    ) -> Message:
        """Serialized examples."""
        examples = [e.SerializeToString() for e in requests.examples(rows)]
        return fill(log.predict_log.request, {"inputs": np.array(examples, object)})
