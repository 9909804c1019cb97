"""Codes -> the groups of a batch, level by level, nested like a trie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from hgr_tf.compat import under_xla


class Groups(NamedTuple):
    """Nested groups of a batch; level 1 is the shallowest.

    Attributes:
        ids: int32 [batch]. Group of each sample at the deepest level.
        parents: One int32 [num_groups[l + 1]] for each level l but the
            deepest: the group of level l that holds each group of level l + 1.
        num_groups: One scalar a level: ids of a level are below it. Under XLA
            it is the batch size, and high ids go unused.
        sizes: int32 [num_groups[-1]]. Samples of each group at the deepest level.
    """

    ids: tf.Tensor
    parents: tuple[tf.Tensor, ...]
    num_groups: tuple[tf.Tensor | int, ...]
    sizes: tf.Tensor

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return len(self.num_groups)

    def level_ids(self) -> list[tf.Tensor]:
        """Group of each sample at every level: a list of int32 [batch]."""
        levels = [self.ids]
        for parents in reversed(self.parents):
            levels.insert(0, tf.gather(parents, levels[0]))
        return levels

    def nested_order(self) -> tf.Tensor:
        """Sample numbers, sorted so that the groups of every level are runs."""
        places = None
        for parents in (*self.parents, self.ids):
            keys = parents if places is None else tf.gather(places, parents)
            order = tf.argsort(keys, stable=True)
            places = tf.math.invert_permutation(order)
        return order


def prefix_groups(codes: tf.Tensor, user_ids: tf.Tensor | None = None) -> Groups:
    """Groups samples by code prefix: at level l, by the first l codes.

    A group is numbered by its parent's number and its own code, so nothing
    overflows for any codebook_size^levels. Numbers come from a hash table,
    O(batch) a level, or under XLA, where shapes are static, from a sort.

    Args:
        codes: int [batch, levels], each in [0, 2^31).
        user_ids: Optional int [batch]. Adds the user as one more, deepest
            level: samples of equal code and equal user.

    Returns:
        `Groups` of L levels, or L + 1 with users.

    Raises:
        ValueError: `codes` are not [batch, levels], or anything is not integers.

    Example:
        >>> groups = prefix_groups(tf.constant([[1, 0], [0, 3], [1, 2]]))
        >>> [ids.numpy().tolist() for ids in groups.level_ids()]
        [[0, 1, 0], [0, 1, 2]]

    Source: arXiv:2506.12756, section 3 (users grouped by code prefix).
    """
    codes = tf.convert_to_tensor(codes)
    if codes.shape.rank != 2 or not codes.shape[1]:
        raise ValueError(f"`codes` must be [batch, levels], got {codes.shape}")
    columns = tf.unstack(_integers("codes", codes), axis=1)
    if user_ids is not None:
        users = tf.reshape(_integers("user_ids", user_ids), [-1])
        # Ids of any value become numbers below 2^31, as codes are.
        columns.append(tf.cast(_number(users).ids, tf.int64))
    return _nest(columns)


def id_groups(user_ids: tf.Tensor) -> Groups:
    """One level, grouped by user: an int [batch] of any value."""
    return _nest([tf.reshape(_integers("user_ids", user_ids), [-1])])


def whole_batch(labels: tf.Tensor) -> Groups:
    """One level with one group: all samples of `labels`, [batch]."""
    size = tf.size(labels)
    return Groups(tf.zeros([size], tf.int32), (), (1,), size[None])


def _integers(name: str, values: tf.Tensor) -> tf.Tensor:
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_integer:
        raise ValueError(f"`{name}` must be integers, got {values.dtype.name}")
    return tf.cast(values, tf.int64)


class _Numbered(NamedTuple):
    """Dense ids; of each id its key and how often it occurs; how many there may be."""

    ids: tf.Tensor
    keys: tf.Tensor
    sizes: tf.Tensor
    count: tf.Tensor


def _nest(columns: Sequence[tf.Tensor]) -> Groups:
    level = _number(columns[0])
    parents, counts = [], [level.count]
    for column in columns[1:]:
        level = _number(tf.cast(level.ids, tf.int64) * (1 << 31) + column)
        parents.append(tf.cast(level.keys // (1 << 31), tf.int32))
        counts.append(level.count)
    return Groups(level.ids, tuple(parents), tuple(counts), level.sizes)


def _number(keys: tf.Tensor) -> _Numbered:
    return _number_by_sort(keys) if under_xla() else _number_by_hash(keys)


def _number_by_hash(keys: tf.Tensor) -> _Numbered:
    distinct, ids, sizes = tf.unique_with_counts(keys)
    return _Numbered(ids, distinct, sizes, tf.size(distinct))


def _number_by_sort(keys: tf.Tensor) -> _Numbered:
    batch = tf.size(keys)
    order = tf.argsort(keys, stable=True)
    ordered = tf.gather(keys, order)
    changes = tf.cast(ordered[1:] != ordered[:-1], tf.int32)
    ranks = tf.cumsum(tf.concat([tf.zeros_like(order[:1]), changes], axis=0))
    ids = tf.gather(ranks, tf.math.invert_permutation(order))
    distinct = tf.math.unsorted_segment_max(ordered, ranks, batch)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(ids), ids, batch)
    # Ids without a sample get key 0: they are nobody's parent that matters.
    return _Numbered(ids, tf.maximum(distinct, 0), sizes, batch)
