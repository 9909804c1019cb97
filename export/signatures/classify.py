"""`classify`: TensorFlow Serving's Classify, of tf.Examples."""

from __future__ import annotations

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.signature import ConcreteFunction, Signature, trace_examples

CLASSES = ("0", "1")


class Classify(Signature):
    """tf.Examples [B] of raw values to the scores [B, 2] of the `CLASSES`.

    Of a ranker with heads, the classes are these: scores [B, heads].
    """

    method = "tensorflow/serving/classify"

    def trace(self) -> ConcreteFunction:
        """Parses, encodes and scores."""

        def classify(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = self.logits(self.features.parse(examples))
            if not isinstance(logits, dict):
                logits = dict(zip(CLASSES, (-logits, logits), strict=True))
            scores = tf.sigmoid(tf.stack(list(logits.values()), axis=1))
            classes = tf.constant([list(logits)])
            return {
                "classes": tf.tile(classes, [tf.shape(scores)[0], 1]),
                "scores": scores,
            }

        return trace_examples(classify)

    @classmethod
    def log_request(
        cls, log: prediction_log_pb2.PredictionLog, requests: SampleRequests, rows: int
    ) -> Message:
        """A list of examples."""
        request = log.classify_log.request
        request.input.example_list.examples.extend(requests.examples(rows))
        return request
