"""Decoding of one window's outputs: the best tags and the best span. NumPy."""

from __future__ import annotations

import numpy as np

from hgr_tf.qa.example import Span
from hgr_tf.qa.targets import BEGIN, OUTSIDE, Tagging


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def viterbi(log_probabilities: np.ndarray) -> np.ndarray:
    """The likeliest tags among the allowed ones.

    Of three tags O, B, I the last one may only follow B or I; two tags O, I may
    follow each other as they like.

    Args:
        log_probabilities: [windows, tokens, tags] floats, of the tokens of the text
            alone: others must be certain to be outside.

    Returns:
        [windows, tokens] int32.
    """
    windows, tokens, tags = log_probabilities.shape
    allowed = np.zeros((tags, tags))
    first = np.zeros(tags)
    if tags == 3:
        allowed[OUTSIDE, 2] = first[2] = -np.inf
    best = log_probabilities[:, 0] + first
    back = np.zeros((windows, tokens, tags), np.int32)
    for token in range(1, tokens):
        scores = best[:, :, None] + allowed
        back[:, token] = scores.argmax(axis=1)
        best = scores.max(axis=1) + log_probabilities[:, token]
    path = np.zeros((windows, tokens), np.int32)
    path[:, -1] = best.argmax(axis=1)
    rows = np.arange(windows)
    for token in range(tokens - 1, 0, -1):
        path[:, token - 1] = back[rows, token, path[:, token]]
    return path


def only_in_text(log_probabilities: np.ndarray, context: np.ndarray) -> np.ndarray:
    """Makes tokens certain to be outside of answers that are not of the text.

    Args:
        log_probabilities: [windows, tokens, tags].
        context: [windows, tokens]; 1 for tokens of the text.
    """
    certain = np.full(log_probabilities.shape[-1], -np.inf)
    certain[OUTSIDE] = 0.0
    return np.where(context[..., None] > 0, log_probabilities, certain)


def tag_spans(tags: np.ndarray, tagging: Tagging = "bio") -> list[Span]:
    """First and last token of each span of tags [tokens]; see `window_targets`."""
    spans: list[Span] = []
    before = OUTSIDE
    for token, tag in enumerate(tags.tolist()):
        if tag != OUTSIDE:
            begins = tag == BEGIN if tagging == "bio" else before == OUTSIDE
            if begins or before == OUTSIDE:
                spans.append((token, token))
            else:
                spans[-1] = (spans[-1][0], token)
        before = tag
    return spans


def best_spans(
    start: np.ndarray, end: np.ndarray, context: np.ndarray, max_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest span of the text in each window.

    Args:
        start: [windows, tokens] log probabilities of being the first token.
        end: [windows, tokens] log probabilities of being the last one.
        context: [windows, tokens]; 1 for tokens of the text.
        max_tokens: Most tokens of a span.

    Returns:
        Spans [windows, 2] int32, the last token included, and the logarithms of
        their probabilities [windows]; -inf where a window has no text.
    """
    tokens = start.shape[1]
    start, end = (np.where(context > 0, scores, -np.inf) for scores in (start, end))
    fits = np.triu(np.ones((tokens, tokens), bool)) & ~np.triu(
        np.ones((tokens, tokens), bool), max_tokens
    )
    scores = np.where(fits, start[:, :, None] + end[:, None, :], -np.inf)
    flat = scores.reshape(len(scores), -1)
    best = flat.argmax(axis=1)
    spans = np.stack(np.unravel_index(best, (tokens, tokens)), axis=1)
    return spans.astype(np.int32), flat[np.arange(len(flat)), best]
