"""The state of codes and groups, shown while they train."""

import warnings

import tensorflow as tf

from hgr_tf import metrics
from hgr_tf.models.ranker_halves import halves_of

LOW_OCCUPANCY = 0.5
"""Share of samples in lists of both classes under which a level hardly trains."""


class QuantizerDiagnostics(tf.keras.callbacks.Callback):
    """Adds figures of every level of codes to the logs of each epoch.

    Named "<figure>_<level>", level 1 the shallowest, over some batches:

    - group_occupancy: see `hgr_tf.metrics.GroupOccupancy`;
    - codebook_usage: see `hgr_tf.metrics.CodebookUsage`;
    - perplexity: see `hgr_tf.metrics.Perplexity`;
    - quantization_error: relative, of the codes up to the level; see
      `hgr_tf.metrics.QuantizationError`;
    - expired: codewords replaced so far.

    And "skipped_rows": rows so far whose embedding was not finite.

    Warns once, with advice, when the occupancy of the deepest level is under one
    half. Epochs before the codebooks have started have no figures. Put it before
    the callbacks that are to see the figures, such as TensorBoard's.

    Args:
        dataset: Batches of (inputs, labels[, sample_weight]) as in training, of
            the same size: occupancy depends on it. Under a strategy, a replica's
            share of a batch is looked at, unless lists span the global batch.
        num_batches: How many of them to look at.

    Example:
        >>> model.fit(train, callbacks=[QuantizerDiagnostics(train)])
    """

    def __init__(self, dataset, num_batches=8):
        super().__init__()
        self.dataset = dataset
        self.num_batches = num_batches
        self._has_warned = False

    def on_epoch_end(self, epoch, logs=None):
        """Adds the figures to `logs`."""
        quantizer = getattr(self.model, "quantizer", None)
        if quantizer is None or not quantizer.started:
            return
        levels = self._measure(quantizer)
        expired = quantizer.expired.numpy()
        for level, figures in enumerate(levels, start=1):
            logs.update({f"{f.name}_{level}": float(f.result()) for f in figures})
            logs[f"expired_{level}"] = int(expired[level - 1])
        logs["skipped_rows"] = int(quantizer.skipped)
        self._warn_if_empty(len(levels), logs[f"group_occupancy_{len(levels)}"])

    def _measure(self, quantizer):
        """Metrics of each level, occupancy first."""
        levels = [
            (
                metrics.GroupOccupancy(level),
                metrics.CodebookUsage(size, level),
                metrics.Perplexity(size, level),
                metrics.QuantizationError(relative=True),
            )
            for level, size in enumerate(quantizer.codebook_sizes, start=1)
        ]
        halves = halves_of(self.model.ranker, self.model.user_embedding)
        # Under a strategy each replica adds the same, which leaves shares as they are.
        run = tf.distribute.get_strategy().run
        for batch in self._batches():
            inputs, labels, weights = tf.keras.utils.unpack_x_y_sample_weight(batch)
            embeddings = halves.embed_users(inputs, training=False)
            codes = quantizer.encode(embeddings)
            for level, (occupancy, usage, perplexity, error) in enumerate(levels, 1):
                decoded = quantizer.decode(codes[:, :level])
                run(occupancy.update_state, args=(labels, codes, weights))
                run(usage.update_state, args=(codes,))
                run(perplexity.update_state, args=(codes,))
                run(error.update_state, args=(embeddings, decoded))
        return levels

    def _batches(self):
        """Batches of the size that lists are made of."""
        batches = self.dataset.take(self.num_batches)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1 or getattr(self.model.ranking_loss, "global_batch", False):
            return batches
        return batches.map(
            lambda *batch: tf.nest.map_structure(
                lambda rows: rows[: -(-tf.shape(rows)[0] // replicas)], batch
            )
        )

    def _warn_if_empty(self, level, occupancy):
        if occupancy >= LOW_OCCUPANCY or self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            f"Only {occupancy:.0%} of the samples are in a list of level {level} with "
            "a positive and a negative: the others add nothing to that level's loss. "
            "Take a smaller codebook, fewer levels or a larger batch.",
            stacklevel=2,
        )
