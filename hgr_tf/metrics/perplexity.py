from __future__ import annotations

import tensorflow as tf

from hgr_tf.metrics.code_counts import CodeCounts
from hgr_tf.metrics.inputs import undefined


@tf.keras.utils.register_keras_serializable(package="hgr_tf")
class Perplexity(CodeCounts):
    r"""Perplexity of a level's codes: how many codewords are used, in effect.

    $$
    \exp\Big( -\sum_k q_k \log q_k \Big), \qquad q_k = n_k / \textstyle\sum_j n_j
    $$

    codebook_size when all codewords are used alike, 1 when one is used alone,
    undefined, NaN, before the first code.

    Args:
        codebook_size: Number of codewords of the level.
        level: Which of the codes to count; 1 is the shallowest.
        name: Name of the metric.
        dtype: Dtype of the result.

    Example:
        >>> metric = hgr_tf.metrics.Perplexity(codebook_size=4)
        >>> metric.update_state([[0], [0], [3], [3]])
        >>> float(metric.result())
        2.0

    Source: van den Oord et al., "Neural Discrete Representation Learning",
    NeurIPS 2017 (as its published code reports it).
    """

    def __init__(
        self,
        codebook_size: int,
        level: int = 1,
        name: str = "perplexity",
        dtype: str | None = None,
    ) -> None:
        super().__init__(codebook_size, level, name, dtype)

    def result(self) -> tf.Tensor:
        """The perplexity, a scalar between 0 and codebook_size."""
        counts = tf.convert_to_tensor(self._counts)
        total = tf.reduce_sum(counts)
        share = tf.math.divide_no_nan(counts, total)
        entropy = -tf.reduce_sum(tf.math.xlogy(share, share))
        return tf.cast(
            tf.where(total > 0, tf.exp(entropy), undefined(entropy)), self.dtype
        )
