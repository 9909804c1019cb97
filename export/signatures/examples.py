"""`examples`: scores of serialized tf.Examples."""

from __future__ import annotations

import numpy as np

from hgr_tf.export.signature import Signature, fill, trace_examples


class Examples(Signature):
    """Serialized tf.Examples [B] of raw values to probabilities [B]."""

    def trace(self):
        """Parses, encodes and scores."""
        return trace_examples(
            lambda examples: self.outputs(self.logits(self.features.parse(examples)))
        )

    @classmethod
    def log_request(cls, log, requests, rows):
        """Serialized examples."""
        examples = [e.SerializeToString() for e in requests.examples(rows)]
        return fill(log.predict_log.request, {"inputs": np.array(examples, object)})
