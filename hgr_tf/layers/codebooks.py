"""Codebooks: the codewords of all levels, and how they learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from hgr_tf.compat import add_state
from hgr_tf.distribute import (
    from_first_replica,
    gather_over_replicas,
    is_replicated,
    sum_over_replicas,
)
from hgr_tf.layers.initial_codewords import (
    random_codewords,
    residual_kmeans,
    stack_codebooks,
)
from hgr_tf.layers.nearest_codeword import Distance

Learning = Literal["ema", "gradient"]
Initializer: TypeAlias = Literal["kmeans", "random"] | Sequence[np.ndarray]


class Codebooks(tf.keras.layers.Layer):
    """The state of a `ResidualVectorQuantizer`, which documents its arguments.

    The codewords of all levels lie in one variable [sum of sizes, dim], so that
    a step of all levels is one update. State that a step assigns is kept alike
    on every replica: it is computed from sums over them.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        learning: Learning,
        initializer: Initializer,
        start_step: int,
        start_buffer: int,
        decay: float,
        expiry_threshold: float,
        distance: Distance,
        seed: int,
    ) -> None:
        super().__init__(name="codebooks", dtype="float32")
        self._sizes = sizes
        self._learning = learning
        self._initializer = initializer
        self._start_step = start_step
        self._start_buffer = start_buffer
        self._decay = decay
        self._expiry_threshold = expiry_threshold
        self._distance = distance
        self._seed = seed

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the variables for embeddings [batch, dim]."""
        dim, total = input_shape[-1], sum(self._sizes)
        if isinstance(self._initializer, str):
            initial = random_codewords(self._sizes, dim, self._seed)
        else:
            initial = stack_codebooks(self._initializer, self._sizes, dim)
        constant = tf.keras.initializers.Constant

        def state(
            name: str, shape: Sequence[int], value: Any = 0, dtype: str = "float32"
        ) -> tf.Variable:
            return add_state(self, name, shape, constant(value), dtype)

        if self._learning == "gradient":
            self.codewords = self.add_weight(
                name="codewords",
                shape=(total, dim),
                initializer=constant(initial),
                dtype="float32",
                trainable=True,
            )
        else:
            self.codewords = state("codewords", (total, dim), initial)
        # Counts start at 1 and sums at the codebook: the first averages are
        # the codebook itself.
        self.counts = state("counts", (total,), 1.0)
        self.sums = state("sums", (total, dim), initial)
        self.expired = state("expired", (len(self._sizes),), dtype="int32")
        self.skipped = state("skipped", (), dtype="int32")
        self.step = state("step", (), dtype="int32")
        waits = self._waits_for_data
        self.started = state("started", (), 0 if waits else 1, "int32")
        if waits:
            # NaN marks an empty place.
            self.buffer = state("buffer", (self._start_buffer, dim), np.nan)
        super().build(input_shape)

    @property
    def _waits_for_data(self) -> bool:
        return isinstance(self._initializer, str) and self._initializer == "kmeans"

    def split(self, stacked: tf.Tensor) -> list[tf.Tensor]:
        """A tensor over all codewords as a list, one per level."""
        return tf.split(tf.convert_to_tensor(stacked), self._sizes)

    def reset(self, codewords: tf.Tensor) -> None:
        """Sets the codewords, [sum of sizes, dim]; averages start anew."""
        self.codewords.assign(codewords)
        self.sums.assign(codewords)
        self.counts.assign(tf.ones_like(self.counts))
        self.started.assign(1)

    # -- Start --------------------------------------------------------------

    def observe(self, values: tf.Tensor, finite: tf.Tensor) -> None:
        """Counts a training call; starts from data when it is time to.

        Args:
            values: float32 [batch, dim].
            finite: float32 [batch], 1 for the rows to collect.
        """
        self.step.assign(self.step + 1)
        if not self._waits_for_data:
            return
        rows = tf.where(finite[:, None] > 0, values, np.nan)
        if is_replicated():
            # After the start nothing is collected, and a row is all that is sent.
            rows = rows[: tf.where(self.started > 0, 1, tf.shape(rows)[0])]
        rows = gather_over_replicas(rows)

        def collect() -> None:
            buffer = tf.concat([rows, self.buffer], axis=0)[: self._start_buffer]
            self.buffer.assign(tf.ensure_shape(buffer, self.buffer.shape))
            tf.cond(self.step >= self._start_step, self._start, lambda: None)

        tf.cond(self.started > 0, lambda: None, collect)

    def _start(self) -> None:
        points, weights = finite_rows(tf.convert_to_tensor(self.buffer))
        codewords = residual_kmeans(
            points, weights, self._sizes, self._distance, self._seed
        )
        # A buffer without a single finite row waits for the next batch.
        some = tf.reduce_sum(weights) > 0
        tf.cond(some, lambda: self.reset(codewords), lambda: None)

    # -- Learning -----------------------------------------------------------

    def update(
        self, residuals: tf.Tensor, codes: tf.Tensor, weights: tf.Tensor
    ) -> None:
        """Moves averages and codewords by one batch; replaces expired ones.

        Args:
            residuals: A float32 [batch, dim] a level, what it quantized.
            codes: An int32 [batch] a level.
            weights: float32 [batch]; rows of weight 0 are skipped and counted.
        """
        counts, sums = [], []
        for residual, code, size in zip(residuals, codes, self._sizes, strict=True):
            counts.append(tf.math.unsorted_segment_sum(weights, code, size))
            weighted = residual * weights[:, None]
            sums.append(tf.math.unsorted_segment_sum(weighted, code, size))
        used = tf.cast(weights > 0, tf.float32)
        counts, sums, rows, skipped = sum_over_replicas(
            [
                tf.concat(counts, axis=0),
                tf.concat(sums, axis=0),
                tf.reduce_sum(used),
                tf.reduce_sum(1.0 - used),
            ]
        )
        self.skipped.assign(self.skipped + tf.cast(skipped, tf.int32))
        # An empty batch says nothing; before the start there is nothing to move.
        moves = (rows > 0) & (self.started > 0)
        rate = tf.where(moves, 1.0 - self._decay, 0.0)
        counts = self.counts + rate * (counts - self.counts)
        sums = self.sums + rate * (sums - self.sums)
        codewords = tf.convert_to_tensor(self.codewords)
        if self._learning == "ema":
            means = sums / self._smoothed(counts)[:, None]
            codewords = tf.where(moves, means, codewords)
        if self._expiry_threshold:
            counts, sums, codewords = self._replace_expired(
                counts, sums, codewords, moves, *self._candidates(residuals, weights)
            )
        self.counts.assign(counts)
        self.sums.assign(sums)
        if self._learning == "ema" or self._expiry_threshold:
            self.codewords.assign(codewords)

    def _smoothed(self, counts: tf.Tensor, epsilon: float = 1e-5) -> tf.Tensor:
        """Laplace smoothing within each level; the level's total is kept."""
        total, size = self._level_totals(counts)
        return (counts + epsilon) / (total + size * epsilon) * total

    def _level_totals(self, counts: tf.Tensor) -> tuple[tf.Tensor, np.ndarray]:
        """Total count and size of each codeword's level, [sum of sizes] each."""
        sizes = np.asarray(self._sizes)
        totals = tf.stack([tf.reduce_sum(level) for level in self.split(counts)])
        return tf.repeat(totals, sizes), np.repeat(sizes, sizes).astype(np.float32)

    def _replace_expired(
        self,
        counts: tf.Tensor,
        sums: tf.Tensor,
        codewords: tf.Tensor,
        moves: tf.Tensor,
        candidates: tf.Tensor,
        usable: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        total, size = self._level_totals(counts)
        mean = total / size
        dead = (counts < self._expiry_threshold * mean) & moves & (usable > 0)
        # At the mean, a revived codeword has time to find its residuals.
        counts = tf.where(dead, mean, counts)
        codewords = tf.where(dead[:, None], candidates, codewords)
        sums = tf.where(dead[:, None], candidates * mean[:, None], sums)
        expired = [tf.math.count_nonzero(d, dtype=tf.int32) for d in self.split(dead)]
        self.expired.assign(self.expired + tf.stack(expired))
        return counts, sums, codewords

    def _candidates(
        self, residuals: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """A random residual of the batch for each codeword, and its weight."""
        batch = tf.maximum(tf.shape(weights)[0], 1)
        # An empty batch gets a row of weight 0: XLA gathers from no empty tensor.
        missing = batch - tf.shape(weights)[0]
        weights = tf.pad(weights, [[0, missing]])
        residuals = [tf.pad(r, [[0, missing], [0, 0]]) for r in residuals]
        seed = tf.stack([self._seed, tf.convert_to_tensor(self.step)])
        uniforms = tf.random.stateless_uniform([sum(self._sizes)], seed)
        rows = tf.cast(uniforms * tf.cast(batch, tf.float32), tf.int32)
        rows = tf.split(tf.minimum(rows, batch - 1), self._sizes)
        drawn = [tf.gather(r, i) for r, i in zip(residuals, rows, strict=True)]
        kept = [tf.gather(weights, i) for i in rows]
        candidates, usable = tf.concat(drawn, axis=0), tf.concat(kept, axis=0)
        return from_first_replica((candidates, usable))


def finite_rows(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Values with other rows set to 0, and float32 [batch]: 1 where finite."""
    finite = tf.reduce_all(tf.math.is_finite(values), axis=1)
    return tf.where(finite[:, None], values, 0.0), tf.cast(finite, tf.float32)
