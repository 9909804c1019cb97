"""`serving_default`: scores of raw rows."""

from __future__ import annotations

from hgr_tf.export.signature import Signature, fill, trace, with_same_shape


class ServingDefault(Signature):
    """Raw tensors [B, ...] by feature name to probabilities [B]."""

    def trace(self):
        """Encodes and scores."""
        specs = self.features.tensor_specs()

        def score(raw):
            raw = with_same_shape(raw, list(specs), 1)
            return self.outputs(self.logits(self.features(raw)))

        return trace(score, specs)

    @classmethod
    def log_request(cls, log, requests, rows):
        """Rows of raw tensors."""
        return fill(log.predict_log.request, requests.raw(rows))
