"""The state of codes and groups, shown while they train."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from hgr_tf import metrics
from hgr_tf.functional.graph import Inputs
from hgr_tf.groups import group_statistics, prefix_groups
from hgr_tf.groups.statistics import GroupStatistics
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.layers.codebooks import finite_rows
from hgr_tf.models.heads import by_head
from hgr_tf.models.ranker_halves import halves_of

LOW_OCCUPANCY = 0.5
"""Share of samples in lists of both classes under which a level hardly trains."""

_LENGTH_QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}


class QuantizerDiagnostics(tf.keras.callbacks.Callback):
    """Adds figures of every level of codes to the logs of each epoch.

    Named "<figure>_<level>", level 1 the shallowest, over some batches:

    - groups: how many a batch has;
    - group_occupancy: see `hgr_tf.metrics.GroupOccupancy`;
    - list_length_p10, list_length_p50, list_length_p90: quantiles of the samples
      of a group, each group once;
    - codebook_usage: see `hgr_tf.metrics.CodebookUsage`;
    - perplexity: see `hgr_tf.metrics.Perplexity`;
    - quantization_error: relative, of the codes up to the level; see
      `hgr_tf.metrics.QuantizationError`;
    - expired_codes: see `hgr_tf.metrics.ExpiredCodes`.

    And "skipped_rows": rows so far whose embedding was not finite; the figures of
    codes leave such rows out. Lists are those of the labels of the first head whose
    ranking loss has lists of codes, or of the first head.

    Warns once, with advice, when the occupancy of the deepest level is under one
    half. Epochs before the codebooks have started have no figures. Put it before
    the callbacks that are to see the figures, such as TensorBoard's.

    Args:
        dataset: Batches of (inputs, labels[, sample_weight]) as in training, of
            the same size: occupancy depends on it. Under a strategy, a replica's
            share of a batch is looked at, unless lists span the global batch; of a
            batch that is computed in parts, a part.
        num_batches: How many of them to look at.

    Example:
        >>> model.fit(train, callbacks=[QuantizerDiagnostics(train)])
    """

    def __init__(self, dataset: tf.data.Dataset, num_batches: int = 8):
        super().__init__()
        self.dataset = dataset
        self.num_batches = num_batches
        self._has_warned = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the figures to `logs`."""
        quantizer = getattr(self.model, "quantizer", None)
        if logs is None or quantizer is None or not quantizer.started:
            return
        levels = self._measure(quantizer)
        for level in levels:
            logs.update(level.results())
        logs["skipped_rows"] = int(quantizer.skipped)
        self._warn_if_empty(len(levels), logs[f"group_occupancy_{len(levels)}"])

    def _measure(self, quantizer: ResidualVectorQuantizer) -> list[_Level]:
        levels = [
            _Level(level, size)
            for level, size in enumerate(quantizer.codebook_sizes, start=1)
        ]
        halves = halves_of(self.model.ranker, self.model.user_embedding)
        head = self._head()
        # Under a strategy each replica adds the same, which leaves shares as they are.
        run = tf.distribute.get_strategy().run
        for batch in self._batches():
            inputs, *targets = self.model.unpack(batch)
            labels, weights = (by_head(values)[head] for values in targets)
            embeddings = halves.embed_users(inputs, training=False)
            codes = quantizer.encode(embeddings)
            embeddings, finite = finite_rows(embeddings)
            lists = group_statistics(
                prefix_groups(codes), labels, weights, [*_LENGTH_QUANTILES.values()]
            )
            for level in levels:
                decoded = quantizer.decode(codes[:, : level.number])
                run(level.update_codes, args=(codes, embeddings, decoded, finite))
                run(level.update_lists, args=(labels, codes, weights, lists))
                run(level.expired.update_state, args=(quantizer.expired,))
        return levels

    def _head(self) -> str:
        """The head whose lists are looked at."""
        losses = self.model.objective.ranking_losses
        heads: Sequence[str] = self.model.heads
        by_code = (head for head in heads if hasattr(losses.get(head), "num_levels"))
        return next(by_code, heads[0])

    def _batches(self) -> Iterable[tuple[Inputs, ...]]:
        """Batches of the size that lists are made of."""
        batches = self.dataset.take(self.num_batches)
        parts = self.model.gradient_accumulation
        losses = self.model.objective.ranking_losses.values()
        if not any(loss.global_batch for loss in losses):
            parts *= tf.distribute.get_strategy().num_replicas_in_sync
        if parts == 1:
            return batches
        return batches.map(
            lambda *batch: tf.nest.map_structure(
                lambda rows: rows[: -(-tf.shape(rows)[0] // parts)], batch
            )
        )

    def _warn_if_empty(self, level: int, occupancy: float) -> None:
        if occupancy >= LOW_OCCUPANCY or self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            f"Only {occupancy:.0%} of the samples are in a list of level {level} with "
            "a positive and a negative: the others add nothing to that level's loss. "
            "Take a smaller codebook, fewer levels or a larger batch.",
            stacklevel=2,
        )


class _Level:
    """The figures of one level."""

    def __init__(self, number: int, codebook_size: int):
        self.number = number
        self.occupancy = metrics.GroupOccupancy(number)
        self.usage = metrics.CodebookUsage(codebook_size, number)
        self.perplexity = metrics.Perplexity(codebook_size, number)
        self.error = metrics.QuantizationError(relative=True)
        self.expired = metrics.ExpiredCodes(number)
        self.groups = tf.keras.metrics.Mean("groups")
        self.lengths = [
            tf.keras.metrics.Mean(f"list_length_{name}") for name in _LENGTH_QUANTILES
        ]

    def update_codes(
        self,
        codes: tf.Tensor,
        embeddings: tf.Tensor,
        decoded: tf.Tensor,
        weights: tf.Tensor,
    ) -> None:
        self.usage.update_state(codes, weights)
        self.perplexity.update_state(codes, weights)
        self.error.update_state(embeddings, decoded, weights)

    def update_lists(
        self,
        labels: tf.Tensor,
        codes: tf.Tensor,
        weights: tf.Tensor | None,
        statistics: GroupStatistics,
    ) -> None:
        self.occupancy.update_state(labels, codes, weights)
        self.groups.update_state(statistics.num_groups[self.number - 1])
        quantiles = tf.unstack(statistics.length_quantiles[self.number - 1])
        for length, quantile in zip(self.lengths, quantiles, strict=True):
            length.update_state(quantile)

    def results(self) -> dict[str, float]:
        """Each figure by its name and level."""
        figures = [self.groups, self.occupancy, *self.lengths, self.usage]
        figures += [self.perplexity, self.error, self.expired]
        return {f"{f.name}_{self.number}": float(f.result()) for f in figures}
