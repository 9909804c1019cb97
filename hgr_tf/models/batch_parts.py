"""A batch computed in parts, one after the other, whose gradients add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import tensorflow as tf

from hgr_tf.gradients import Gradient

Gradients: TypeAlias = list[Gradient | None]


def num_rows(batch: object) -> tf.Tensor:
    """Rows of a batch of any structure, an int32 scalar."""
    return tf.shape(tf.nest.flatten(batch)[0])[0]


def split_batch(batch: tuple[object, ...], num_parts: int) -> Iterator[tuple]:
    """Yields consecutive parts of a batch of any structure, as equal as can be.

    Args:
        batch: A structure of tensors [batch, ...].
        num_parts: A Python int; parts of a batch with fewer rows may be empty.
    """
    if num_parts == 1:
        yield batch
        return
    rows = num_rows(batch)
    for part in range(num_parts):
        start, stop = rows * part // num_parts, rows * (part + 1) // num_parts
        yield tf.nest.map_structure(lambda x, a=start, b=stop: x[a:b], batch)


def after(gradients: Gradients, part: tuple) -> tuple:
    """The part, available only once the gradients of those before are computed.

    Otherwise TensorFlow would compute several parts at once, in the memory of all.
    """
    if not gradients:
        return part
    tensors = tf.nest.flatten(gradients, expand_composites=True)
    with tf.control_dependencies([g for g in tensors if g is not None]):
        return tf.nest.map_structure(tf.identity, part)


def add_gradients(one: Gradients, other: Gradients) -> Gradients:
    """Sums of gradients; those of tables stay rows, which may be named twice."""
    return [_add(a, b) for a, b in zip(one, other, strict=True)]


def _add(one: Gradient | None, other: Gradient | None) -> Gradient | None:
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, tf.IndexedSlices) and isinstance(other, tf.IndexedSlices):
        return tf.IndexedSlices(
            tf.concat([one.values, other.values], axis=0),
            tf.concat([one.indices, other.indices], axis=0),
            one.dense_shape,
        )
    return tf.convert_to_tensor(one) + tf.convert_to_tensor(other)
