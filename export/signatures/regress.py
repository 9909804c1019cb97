"""`regress`: TensorFlow Serving's Regress, of tf.Examples."""

from __future__ import annotations

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.signature import ConcreteFunction, Signature, trace_examples


class Regress(Signature):
    """tf.Examples [B] of raw values to probabilities [B], as "outputs"."""

    method = "tensorflow/serving/regress"
    of_one_head = True

    def trace(self) -> ConcreteFunction:
        """Parses, encodes and scores."""

        def regress(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = self.logits(self.features.parse(examples))
            own = logits if self.head is None else logits[self.head]
            return {"outputs": tf.sigmoid(own)}

        return trace_examples(regress)

    @classmethod
    def log_request(
        cls, log: prediction_log_pb2.PredictionLog, requests: SampleRequests, rows: int
    ) -> Message:
        """A list of examples."""
        request = log.regress_log.request
        request.input.example_list.examples.extend(requests.examples(rows))
        return request
