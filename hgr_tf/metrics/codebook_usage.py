from __future__ import annotations

import tensorflow as tf

from hgr_tf.metrics.code_counts import CodeCounts


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class CodebookUsage(CodeCounts):
    """Share of a level's codewords that were used at all since the reset.

    1 uses the whole codebook; a collapsed codebook comes near 1 / codebook_size.

    Args:
        codebook_size: Number of codewords of the level.
        level: Which of the codes to count; 1 is the shallowest.
        name: Name of the metric.
        dtype: Dtype of the result.

    Example:
        >>> metric = hgr_tf.metrics.CodebookUsage(codebook_size=4, level=2)
        >>> metric.update_state([[0, 3], [1, 3], [2, 1]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self,
        codebook_size: int,
        level: int = 1,
        name: str = "codebook_usage",
        dtype: str | None = None,
    ) -> None:
        super().__init__(codebook_size, level, name, dtype)

    def result(self) -> tf.Tensor:
        """The share, a scalar between 0 and 1."""
        used = tf.cast(tf.convert_to_tensor(self._counts) > 0, tf.float64)
        return tf.cast(tf.reduce_mean(used), self.dtype)
