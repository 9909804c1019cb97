"""reader_loss: what a MultiSpanReader minimizes."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


def reader_loss(
    targets: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """The three terms of the loss, each a mean over a batch of windows.

    tags: the mean over the tokens of texts of -log p(tag); tokens of tag -1, which
        are outside of a text or as good an answer as the marked one, are left out.
    span: -log of the sum over the spans that are right of p_start(first) *
        p_end(last): any of them may be found (marginal likelihood, as in C. Clark
        and M. Gardner, ACL 2018). Token 0 is right where there is no answer.
    type: -log p(type) of the window.

    Args:
        targets: As `window_targets` gives them.
        outputs: As a `MultiSpanReader` gives them.

    Returns:
        Scalars "tags_loss", "span_loss", "type_loss".
    """
    return {
        "tags_loss": _tags_loss(targets["tags"], outputs["tags"]),
        "span_loss": tf.reduce_mean(
            _span_loss(targets["spans"], outputs["start"], outputs["end"])
        ),
        "type_loss": tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.cast(targets["answer_type"], tf.int32), outputs["answer_type"]
            )
        ),
    }


def _tags_loss(tags: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    tags = tf.cast(tags, tf.int32)
    counts = tf.cast(tags >= 0, logits.dtype)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(tags, 0), logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * counts), tf.reduce_sum(counts))


def _span_loss(spans: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    spans = tf.cast(spans, tf.int32)
    first, last = tf.unstack(tf.maximum(spans, 0), axis=-1)
    score = tf.gather(tf.nn.log_softmax(start), first, batch_dims=1) + tf.gather(
        tf.nn.log_softmax(end), last, batch_dims=1
    )
    is_span = spans[..., 0] >= 0
    lowest = tf.constant(-1e9, score.dtype)
    return -tf.reduce_logsumexp(tf.where(is_span, score, lowest), axis=1)
