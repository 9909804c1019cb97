"""ResidualVectorQuantizer: hierarchical codes of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hgr_tf.layers.codebooks import Codebooks, Initializer, Learning, finite_rows
from hgr_tf.layers.gradient_estimators import (
    GradientEstimator,
    rotation_trick,
    straight_through,
)
from hgr_tf.layers.initial_codewords import residual_kmeans, stack_codebooks
from hgr_tf.layers.nearest_codeword import (
    DISTANCES,
    Distance,
    nearest_codeword,
    residual_codes,
)
from hgr_tf.layers.whole_tables import finite_table, weights_of_rows

_ENCODED_AT_ONCE = 1 << 17
_ESTIMATORS = {
    "straight_through": straight_through,
    "rotation": rotation_trick,
}


class QuantizerOutput(NamedTuple):
    """What a `ResidualVectorQuantizer` returns.

    Attributes:
        quantized: float [batch, dim], dtype of the input. The sum of the
            chosen codewords, with the gradient of the chosen estimator.
        codes: int32 [batch, levels].
        loss: float32 scalar. Commitment, and with gradient codebooks the
            codebook loss.
        errors: float32 [levels]. Mean squared norm of what is left of an
            embedding after each level.
    """

    quantized: tf.Tensor
    codes: tf.Tensor
    loss: tf.Tensor
    errors: tf.Tensor


@tf.keras.utils.register_keras_serializable("hgr_tf")
class ResidualVectorQuantizer(tf.keras.layers.Layer):
    """Quantizes embeddings level by level, each level the residual of the last.

    r_1 = e;  c_l = argmin_k d(r_l, C^l_k);  r_{l+1} = r_l - C^l_{c_l}

    The codes (c_1, ..., c_L) are a path in a trie: embeddings that share the
    first l codes are alike, the more so the larger l. The quantized embedding
    is sum_l C^l_{c_l}.

    In training, EMA codebooks follow the residuals r assigned to them:
    N_k <- g N_k + (1 - g) n_k,  M_k <- g M_k + (1 - g) sum r,  C_k = M_k / N_k
    with N Laplace-smoothed within its level. N starts at 1 and M at the
    codebook. A codeword whose N falls below a share of its level's mean is
    replaced by a residual of the batch, and N and M with it.

    Codebooks, distances and codes are float32 whatever the dtype policy.
    Rows that hold NaN or infinity never touch the codebooks; `skipped` counts
    them. Sample weights play no part: codes are of users, not of labels. Under
    a `tf.distribute` strategy the statistics are those of the global batch, and
    the codebooks stay equal on all replicas.

    Args:
        num_levels: Number of levels L.
        codebook_size: Codewords per level, K: one int, or one per level.
        distance: "squared_l2" or "cosine" (assignment by angle; codewords are
            still means of residuals).
        learning: "ema", or "gradient": codebooks are trainable weights moved
            by the codebook loss sum_l ||sg(r_l) - C^l||^2.
        initializer: "kmeans": codes mean nothing until `started`, when
            k-means on the last `start_buffer` embeddings sets the codebooks;
            "random": unit-normal codewords scaled by 1 / sqrt(dim); or a list
            of L arrays [K, dim].
        start_step: With "kmeans": the training call (1 is the first) that
            runs k-means. Embeddings should have learned something by then:
            half an epoch is a good choice.
        start_buffer: With "kmeans": how many of the last rows it runs on.
        decay: g of the moving averages, in [0, 1).
        expiry_threshold: Share of a level's mean usage under which a codeword
            is replaced; 0 never replaces.
        commitment_cost: Weight of mean ||e - sg(quantized)||^2 in `loss`.
        gradient_estimator: "straight_through" or "rotation".
        seed: Seed of k-means, replacements and the random start.

    Call arguments:
        embeddings: float [batch, dim].
        training: Whether to update the codebooks.
        user_ids: Optional int [batch]. When rows of equal id have equal
            embeddings, each user is quantized once: the same result (but that
            k-means then starts from users, not rows), cheaper where users
            repeat and the codebooks are large. Not under XLA.

    Returns:
        A `QuantizerOutput`.

    Raises:
        ValueError: An argument is out of range, or embeddings are not
            [batch, dim].

    Example:
        >>> quantizer = ResidualVectorQuantizer(2, 4, initializer="random")
        >>> out = quantizer(tf.random.normal([8, 16]))
        >>> out.quantized.shape, out.codes.shape
        (TensorShape([8, 16]), TensorShape([8, 2]))

    Source: van den Oord et al., NeurIPS 2017, appendix A.1 (EMA); Zeghidour et
    al., "SoundStream", TASLP 2021 (residual levels, k-means start, expiry);
    arXiv:2506.12756, section 3 (codes as user groups).
    """

    def __init__(
        self,
        num_levels: int,
        codebook_size: int | Sequence[int],
        distance: Distance = "squared_l2",
        learning: Learning = "ema",
        initializer: Initializer = "kmeans",
        start_step: int = 1,
        start_buffer: int = 8192,
        decay: float = 0.99,
        expiry_threshold: float = 0.01,
        commitment_cost: float = 0.0,
        gradient_estimator: GradientEstimator = "straight_through",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        # Inputs keep their dtype: the layer itself computes in float32.
        kwargs["dtype"] = "float32"
        super().__init__(**{"autocast": False, **kwargs})
        self.num_levels = num_levels
        self.codebook_size = codebook_size
        if not isinstance(codebook_size, int) and np.ndim(codebook_size) > 0:
            self.codebook_size = tuple(codebook_size)
        self.distance = distance
        self.learning = learning
        self.initializer = initializer
        self.start_step = start_step
        self.start_buffer = start_buffer
        self.decay = decay
        self.expiry_threshold = expiry_threshold
        self.commitment_cost = commitment_cost
        self.gradient_estimator = gradient_estimator
        self.seed = seed
        self._check_arguments()
        self._books = Codebooks(
            sizes=self.codebook_sizes,
            learning=learning,
            initializer=initializer,
            start_step=start_step,
            start_buffer=start_buffer,
            decay=decay,
            expiry_threshold=expiry_threshold,
            distance=distance,
            seed=seed,
        )

    def _check_arguments(self) -> None:
        def check(name: str, ok: bool | np.bool_, expected: str) -> None:
            if not ok:
                value = getattr(self, name)
                raise ValueError(f"`{name}` must be {expected}, got {value!r}")

        is_int = isinstance(self.num_levels, Integral)
        check("num_levels", is_int and self.num_levels >= 1, "a positive int")
        sizes = np.atleast_1d(self.codebook_size)
        check(
            "codebook_size",
            sizes.size in (1, self.num_levels) and (sizes >= 1).all(),
            f"a positive int, or {self.num_levels} of them (one per level)",
        )
        check("distance", self.distance in DISTANCES, f"one of {DISTANCES}")
        check("learning", self.learning in ("ema", "gradient"), "'ema' or 'gradient'")
        if isinstance(self.initializer, str):
            known = ("kmeans", "random")
            check("initializer", self.initializer in known, f"one of {known} or arrays")
        check("start_step", self.start_step >= 1, "a positive int")
        check("start_buffer", self.start_buffer >= 1, "a positive int")
        check("decay", 0 <= self.decay < 1, "in [0, 1)")
        check("expiry_threshold", 0 <= self.expiry_threshold < 1, "in [0, 1)")
        check("commitment_cost", self.commitment_cost >= 0, "at least 0")
        estimators = tuple(_ESTIMATORS)
        check(
            "gradient_estimator",
            self.gradient_estimator in estimators,
            f"one of {estimators}",
        )

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Codewords of each level, a tuple of L ints."""
        sizes = np.atleast_1d(self.codebook_size).tolist()
        return tuple(sizes if len(sizes) > 1 else sizes * self.num_levels)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the codebooks."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"`embeddings` must be [batch, dim] with a known dim, got {input_shape}"
            )
        self._books.build(input_shape)
        super().build(input_shape)

    def call(
        self,
        embeddings: tf.Tensor,
        training: bool = False,
        user_ids: tf.Tensor | None = None,
    ) -> QuantizerOutput:
        """Quantizes; see the class."""
        inputs = tf.cast(embeddings, tf.float32)
        rows, weights, expand = _distinct_rows(inputs, user_ids)
        values, finite = finite_rows(tf.stop_gradient(rows))
        weights = finite if weights is None else weights * finite
        if training:
            self._books.observe(values, finite)
        residuals, codes, chosen = self._walk(values)
        if training:
            self._books.update(residuals[:-1], codes, weights)
        quantized = tf.add_n(chosen)
        total = tf.maximum(tf.reduce_sum(weights), 1.0)
        errors = [
            tf.reduce_sum(weights * tf.reduce_sum(tf.square(r), axis=1)) / total
            for r in residuals[1:]
        ]
        loss = self._loss(rows, quantized, residuals, chosen, weights / total)
        # Random codewords are nothing to commit to.
        loss *= tf.cast(self.started, tf.float32)
        estimate = _ESTIMATORS[self.gradient_estimator]
        return QuantizerOutput(
            quantized=tf.cast(
                estimate(inputs, expand(tf.stop_gradient(quantized))), embeddings.dtype
            ),
            codes=expand(tf.stack(codes, axis=1)),
            loss=loss,
            errors=tf.stack(errors),
        )

    def _loss(
        self,
        rows: tf.Tensor,
        quantized: tf.Tensor,
        residuals: Sequence[tf.Tensor],
        chosen: Sequence[tf.Tensor],
        shares: tf.Tensor,
    ) -> tf.Tensor:
        def mean_square(difference: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(shares * tf.reduce_sum(tf.square(difference), axis=1))

        loss = tf.constant(0.0)
        if self.commitment_cost:
            safe = tf.where(shares[:, None] > 0, rows, tf.stop_gradient(quantized))
            loss += self.commitment_cost * mean_square(
                safe - tf.stop_gradient(quantized)
            )
        if self.learning == "gradient":
            pairs = zip(residuals, chosen, strict=False)
            loss += tf.add_n([mean_square(tf.stop_gradient(r) - c) for r, c in pairs])
        return loss

    # -- Codes --------------------------------------------------------------

    def encode(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Codes, int32 [batch, levels], of float embeddings [batch, dim].

        Those of a row that holds NaN or infinity mean nothing.

        Raises:
            ValueError: `embeddings` have another shape than the codebooks.
        """
        values = tf.cast(embeddings, tf.float32)
        self._ensure_built(values.shape)
        books = self._split_codewords()
        if not tf.executing_eagerly() or len(values) <= _ENCODED_AT_ONCE:
            return residual_codes(values, books, self.distance)
        parts = [
            residual_codes(
                values[start : start + _ENCODED_AT_ONCE], books, self.distance
            )
            for start in range(0, len(values), _ENCODED_AT_ONCE)
        ]
        return tf.concat(parts, axis=0)

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Sum of the codewords of `codes`, int [batch, l] for any l <= L.

        Fewer codes than levels decode the prefix: the center of its group.

        Returns:
            float32 [batch, dim].

        Raises:
            ValueError: `codes` are not [batch, l], or there are no codebooks yet.
        """
        codes = tf.cast(codes, tf.int32)
        if codes.shape.rank != 2 or codes.shape[1] not in range(1, self.num_levels + 1):
            raise ValueError(
                f"`codes` must be [batch, l] with l from 1 to {self.num_levels}, "
                f"got {codes.shape}"
            )
        levels = codes.shape[1]
        chosen = [
            tf.gather(book, codes[:, level])
            for level, book in enumerate(self._split_codewords()[:levels])
        ]
        return tf.add_n(chosen)

    @property
    def codebooks(self) -> list[np.ndarray]:
        """The codebooks, a list of L numpy arrays [K, dim]."""
        return [book.numpy() for book in self._split_codewords()]

    @property
    def usage(self) -> list[tf.Tensor]:
        """Moving averages of rows per step assigned to each codeword, L tensors [K]."""
        books = self._built_books
        return books.split(books.counts)

    @property
    def started(self) -> tf.Tensor:
        """Bool scalar tensor: whether the codes mean anything yet."""
        return tf.cast(self._built_books.started, tf.bool)

    @property
    def expired(self) -> tf.Tensor:
        """int32 [levels]: codewords replaced so far."""
        return tf.convert_to_tensor(self._built_books.expired)

    @property
    def skipped(self) -> tf.Tensor:
        """int32 scalar: rows (with `user_ids`, users) skipped for NaN or infinity."""
        return tf.convert_to_tensor(self._built_books.skipped)

    def _walk(
        self, values: tf.Tensor
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Residuals (L + 1), codes (L) and chosen codewords (L), by level."""
        residuals, codes, chosen = [values], [], []
        for book in self._split_codewords():
            codes.append(nearest_codeword(residuals[-1], book, self.distance))
            chosen.append(tf.gather(book, codes[-1]))
            residuals.append(residuals[-1] - chosen[-1])
        return residuals, codes, chosen

    def _split_codewords(self) -> list[tf.Tensor]:
        books = self._built_books
        return books.split(books.codewords)

    @property
    def _built_books(self) -> Codebooks:
        if not self.built:
            raise ValueError(
                "A quantizer has no codebooks before it is called: call it, `build`, "
                "`fit` or `set_codebooks` first"
            )
        return self._books

    # -- Whole tables -------------------------------------------------------

    def set_codebooks(self, codebooks: Sequence[np.ndarray]) -> None:
        """Sets the codebooks, a list of L arrays [K, dim], and starts.

        The moving averages start anew.

        Raises:
            ValueError: A shape is wrong or a value is not finite.
        """
        given = (np.shape(book)[-1] for book in codebooks if np.ndim(book))
        dim = self._dim or next(given, None)
        stacked = stack_codebooks(codebooks, self.codebook_sizes, dim)
        self._ensure_built(tf.TensorShape([None, dim]))
        self._books.reset(stacked)

    def fit(
        self,
        embeddings: tf.Tensor | np.ndarray,
        sample_weight: tf.Tensor | np.ndarray | None = None,
        iterations: int = 25,
    ) -> ResidualVectorQuantizer:
        """Sets the codebooks by residual k-means on a whole table.

        Takes memory for rows x codebook_size floats: give it a sample of a table
        that is too large for that. `encode` takes it in parts.

        Args:
            embeddings: float array [rows, dim].
            sample_weight: Optional float array [rows], at least 0 and not all 0.
            iterations: Lloyd's iterations per level.

        Returns:
            self. `encode(embeddings)` then gives the codes of the table.

        Raises:
            ValueError: A shape is wrong, a value is NaN or infinite, or a weight is
                out of range.
        """
        points = finite_table(embeddings)
        weights = weights_of_rows(sample_weight, points.shape[0])
        self._ensure_built(points.shape)
        run = tf.function(residual_kmeans)
        sizes, distance = self.codebook_sizes, self.distance
        self._books.reset(run(points, weights, sizes, distance, self.seed, iterations))
        return self

    @property
    def _dim(self) -> int | None:
        return self._books.codewords.shape[1] if self.built else None

    def _ensure_built(self, shape: tf.TensorShape) -> None:
        """Builds for embeddings of a shape, or checks that it is built for them."""
        if not shape.is_compatible_with([None, self._dim]):
            expected = f"[batch, {self._dim or 'dim'}]"
            raise ValueError(f"`embeddings` must be {expected}, got {shape}")
        if not self.built:
            self.build((None, shape[1]))

    # -- Serialization ------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; given codebooks as nested lists."""
        initializer = self.initializer
        if not isinstance(initializer, str):
            initializer = [np.asarray(book).tolist() for book in initializer]
        return {
            **super().get_config(),
            "num_levels": self.num_levels,
            "codebook_size": self.codebook_size,
            "distance": self.distance,
            "learning": self.learning,
            "initializer": initializer,
            "start_step": self.start_step,
            "start_buffer": self.start_buffer,
            "decay": self.decay,
            "expiry_threshold": self.expiry_threshold,
            "commitment_cost": self.commitment_cost,
            "gradient_estimator": self.gradient_estimator,
            "seed": self.seed,
        }


def _distinct_rows(
    values: tf.Tensor, user_ids: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor | None, Callable[[tf.Tensor], tf.Tensor]]:
    """A row a user, its number of rows, and the way back to all rows."""
    if user_ids is None:
        return values, None, lambda rows: rows
    users, index, counts = tf.unique_with_counts(tf.reshape(user_ids, [-1]))
    num_users = tf.shape(users)[0]
    positions = tf.range(tf.shape(index)[0])
    first = tf.math.unsorted_segment_min(positions, index, num_users)
    distinct = tf.gather(values, first)
    counts = tf.cast(counts, tf.float32)
    return distinct, counts, lambda rows: tf.gather(rows, index)
