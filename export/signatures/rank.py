"""`rank`: scores of many items for each request."""

from __future__ import annotations

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import prediction_log_pb2

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.ranker import each_head
from hgr_tf.export.score_items import score_items
from hgr_tf.export.signature import (
    ConcreteFunction,
    Signature,
    fill,
    trace,
    with_same_shape,
)


class Rank(Signature):
    """User and context features [B], item features [B, N], to probabilities [B, N]."""

    needs_items = True

    def trace(self) -> ConcreteFunction:
        """Encodes and scores; what depends on the request alone runs once for it."""
        if not hasattr(self.features, "names"):
            raise ValueError(
                "the rank signature must know which features are the item's: "
                "`encoding` must be given, got None"
            )
        items = self.features.names("item")
        requests = self.features.names("user", "context")
        if not items:
            raise ValueError(
                "the rank signature needs a ranker that takes an item feature, got "
                f"{requests}"
            )
        inputs = self.features.inputs("user", "context")
        calibration = self.options.calibration
        calibration_inputs = () if calibration is None else calibration.inputs
        shared = sorted(self.features.reads("item").difference(items))
        score_rows = score_items(self.ranker, inputs)
        one = self.features.tensor_specs((None,))
        many = self.features.tensor_specs((None, None))

        def rank(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            raw = with_same_shape(raw, items, 2)
            raw = with_same_shape(raw, [*requests, items[0]], 1)
            shape = tf.shape(raw[items[0]])[:2]
            flat = {n: tf.reshape(raw[n], [-1, *one[n].shape[1:]]) for n in items}
            flat |= {n: tf.repeat(raw[n], shape[1], axis=0) for n in shared}
            of_requests = self.features(raw, ("user", "context"))
            of_items = self.features(flat, ("item",))
            scores = score_rows(of_requests, of_items, shape[1])
            calibrated_by = {
                n: of_items[n]
                if n in of_items
                else tf.repeat(of_requests[n], shape[1], axis=0)
                for n in calibration_inputs
            }
            logits = self.calibrated(self.as_logits(scores), calibrated_by)
            shaped = each_head(lambda values: tf.reshape(values, shape), logits)
            return self.outputs(shaped)

        return trace(rank, {n: (many if n in items else one)[n] for n in one})

    @classmethod
    def log_request(
        cls, log: prediction_log_pb2.PredictionLog, requests: SampleRequests, rows: int
    ) -> Message:
        """One request with `rows` items."""
        return fill(log.predict_log.request, requests.rank(1, rows))
