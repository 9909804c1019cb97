"""Lists of ids as tensors of one length."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.features import HistoryList
from hgr_tf.features.transforms import Transform


def padded(lists: tf.RaggedTensor, transform: Transform | HistoryList) -> tf.Tensor:
    """Pads lists of ids with 0 to the length of a multi-valued feature.

    Padding lies at the end, but at the start of a history whose oldest event comes
    first: always beside the oldest.

    Args:
        lists: `[batch, (length)]` int64, none longer than `transform.max_length`.
        transform: Of the feature.

    Returns:
        `[batch, max_length]` int64.
    """
    shape = [None, transform.max_length]
    if isinstance(transform, HistoryList) and not transform.newest_first:
        return tf.reverse(tf.reverse(lists, [1]).to_tensor(shape=shape), [1])
    return lists.to_tensor(shape=shape)
