"""window_answers: from logits of windows to tags, one span and a type, in the graph.

It is what a SavedModel gives too, so that clients need neither Keras nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from hgr_tf.qa.targets import OUTSIDE

MAX_TOKENS = 30
"""Most tokens of the best span."""

_IMPOSSIBLE = -1e9


def window_answers(
    logits: Mapping[str, tf.Tensor], context_mask: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Decodes the outputs of a `MultiSpanReader`.

    Args:
        logits: "tags" [windows, tokens, 2 or 3], "start" and "end" [windows, tokens],
            "answer_type" [windows, 3].
        context_mask: [windows, tokens] int32; 1 for tokens of the text.

    Returns:
        "tags" [windows, tokens] int32, the likeliest allowed ones, 0 outside of the
        text; "tag_scores" [windows, tokens], their probabilities; "span" [windows, 2]
        int32, first and last token of the likeliest span; "span_score" [windows], its
        probability, 0 where there is no text; "no_answer_score" [windows], that of
        no span; "answer_type" [windows, 3], probabilities. Scores are float32.
    """
    in_text = tf.cast(context_mask, tf.bool)
    scores = tf.nn.log_softmax(logits["tags"])
    outside = tf.one_hot(OUTSIDE, scores.shape[-1], 0.0, _IMPOSSIBLE, dtype=tf.float32)
    scores = tf.where(in_text[..., None], scores, outside)
    tags = viterbi(scores)
    start, end = (tf.nn.log_softmax(logits[name]) for name in ("start", "end"))
    span, span_score = best_spans(start, end, in_text, MAX_TOKENS)
    return {
        "tags": tags,
        "tag_scores": tf.exp(tf.gather(scores, tags, batch_dims=2)),
        "span": span,
        "span_score": tf.exp(span_score),
        "no_answer_score": tf.exp(start[:, 0] + end[:, 0]),
        "answer_type": tf.nn.softmax(logits["answer_type"]),
    }


def viterbi(scores: tf.Tensor) -> tf.Tensor:
    """The likeliest tags among the allowed ones.

    Of three tags O, B, I the last one may only follow B or I; two tags O, I may
    follow each other as they like.

    Args:
        scores: [windows, tokens, tags] log probabilities, at least one token.

    Returns:
        [windows, tokens] int32.
    """
    num_tags = scores.shape[-1]
    before = [[0.0] * num_tags for _ in range(num_tags)]
    first = [0.0] * num_tags
    if num_tags == 3:
        before[OUTSIDE][2] = first[2] = _IMPOSSIBLE
    allowed = tf.constant(before, scores.dtype)
    by_token = tf.transpose(scores, [1, 0, 2])
    start = by_token[0] + tf.constant(first, scores.dtype)

    def forward(
        state: tuple[tf.Tensor, tf.Tensor], token: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        paths = state[0][:, :, None] + allowed
        best = tf.reduce_max(paths, axis=1) + token
        return best, tf.argmax(paths, axis=1, output_type=tf.int32)

    none = tf.zeros(tf.shape(start), tf.int32)
    best, back = tf.scan(forward, by_token[1:], (start, none))
    last = tf.concat([start[None], best], axis=0)[-1]
    end = tf.argmax(last, axis=-1, output_type=tf.int32)

    def backward(tag: tf.Tensor, pointers: tf.Tensor) -> tf.Tensor:
        return tf.gather(pointers, tag, batch_dims=1)

    path = tf.scan(backward, back, end, reverse=True)
    return tf.transpose(tf.concat([path, end[None]], axis=0))


def best_spans(
    start: tf.Tensor, end: tf.Tensor, in_text: tf.Tensor, max_tokens: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The likeliest span of the text in each window.

    Args:
        start: [windows, tokens] log probabilities of being the first token.
        end: [windows, tokens] log probabilities of being the last one.
        in_text: [windows, tokens] bool; whether tokens are of the text.
        max_tokens: Most tokens of a span.

    Returns:
        Spans [windows, 2] int32, the last token included, and the logarithms of
        their probabilities [windows]; -inf where a window has no text.
    """
    tokens = tf.shape(start)[1]
    lowest = tf.constant(-float("inf"), start.dtype)
    start, end = (tf.where(in_text, scores, lowest) for scores in (start, end))
    pairs = tf.ones([tokens, tokens], tf.bool)
    fits = tf.linalg.band_part(pairs, 0, tf.minimum(max_tokens, tokens) - 1)
    scores = tf.where(fits, start[:, :, None] + end[:, None, :], lowest)
    flat = tf.reshape(scores, [tf.shape(start)[0], tokens * tokens])
    best = tf.argmax(flat, axis=1, output_type=tf.int32)
    spans = tf.stack([best // tokens, best % tokens], axis=1)
    return spans, tf.reduce_max(flat, axis=1)
