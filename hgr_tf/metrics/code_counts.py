from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.metrics.inputs import check_positive, first_codes, flat_weights
from hgr_tf.metrics.summing_metric import SummingMetric


class CodeCounts(SummingMetric):
    """Base of the metrics of how often each codeword of a level is used.

    Args:
        codebook_size: Number of codewords of the level.
        level: Which of the codes to count; 1 is the shallowest.
        name: Name of the metric.
        dtype: Dtype of the result; counts are float64 whatever it is.
    """

    def __init__(
        self, codebook_size: int, level: int, name: str, dtype: str | None
    ) -> None:
        check_positive("codebook_size", codebook_size)
        check_positive("level", level)
        super().__init__(name=name, dtype=dtype)
        self.codebook_size = codebook_size
        self.level = level
        self._counts = self._add_sum("counts", (codebook_size,))

    def update_state(
        self, codes: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Adds a batch.

        Args:
            codes: [batch, levels] integers, each below its level's codebook size.
            sample_weight: [batch] or [batch, 1]; None weighs each row 1.

        Raises:
            ValueError: If `codes` has fewer than `level` columns.
        """
        codes = first_codes(codes, self.level)[:, -1]
        weights = flat_weights(sample_weight, codes)
        self._counts.assign_add(
            tf.math.unsorted_segment_sum(weights, codes, self.codebook_size)
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "codebook_size": self.codebook_size,
            "level": self.level,
        }
