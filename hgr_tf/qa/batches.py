"""WindowBatches: batches of windows with their targets, shuffled by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hgr_tf.qa.example import QAExample
from hgr_tf.qa.targets import Tagging, window_targets
from hgr_tf.qa.tokenization import OffsetTokenizer
from hgr_tf.qa.windows import WindowOptions, cut_windows, model_inputs


class WindowBatches:
    """The windows of questions, in batches of arrays that are made when needed.

    Args:
        examples: The questions.
        tokenizer: Makes tokens.
        options: How texts are cut.
        tagging: "bio" or "io".
        batch_size: Windows of a batch.
    """

    def __init__(
        self,
        examples: Sequence[QAExample],
        tokenizer: OffsetTokenizer,
        options: WindowOptions,
        tagging: Tagging,
        batch_size: int,
    ):
        windows = cut_windows(examples, tokenizer, options)
        length = max(len(window.token_ids) for window in windows)
        self._arrays = (
            model_inputs(windows, tokenizer, length),
            window_targets(windows, examples, length, tagging),
        )
        self._count = len(windows)
        self._batch_size = batch_size

    @property
    def steps(self) -> int:
        """Batches of an epoch; the last one may be smaller."""
        return -(-self._count // self._batch_size)

    def in_order(self) -> tf.data.Dataset:
        """The batches in the order of the questions."""
        return self._dataset(np.arange(self._count))

    def shuffled(self, epochs: range, first_step: int, seed: int) -> tf.data.Dataset:
        """The batches of epochs, each with an order of its own.

        Args:
            epochs: Which epochs; each is the same whenever it is asked for.
            first_step: Batches of the first epoch that are left out.
            seed: Seed of the orders.
        """
        parts = [
            self._dataset(np.random.default_rng((seed, epoch)).permutation(self._count))
            for epoch in epochs
        ]
        dataset = parts[0].skip(first_step)
        for part in parts[1:]:
            dataset = dataset.concatenate(part)
        return dataset

    def _dataset(self, order: np.ndarray) -> tf.data.Dataset:
        batches = tf.data.Dataset.from_tensor_slices(order).batch(self._batch_size)
        return batches.map(self._rows).prefetch(1)

    def _rows(self, rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], ...]:
        inputs, targets = (
            {name: tf.gather(array, rows) for name, array in arrays.items()}
            for arrays in self._arrays
        )
        # No batch is longer than its longest window.
        length = tf.reduce_max(tf.reduce_sum(inputs["padding_mask"], axis=1))
        inputs = {name: tensor[:, :length] for name, tensor in inputs.items()}
        return inputs, {**targets, "tags": targets["tags"][:, :length]}
