"""decode: from a reader's outputs for windows to the answers of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hgr_tf.qa.example import TYPES, QAExample, Span
from hgr_tf.qa.targets import Tagging, num_tags
from hgr_tf.qa.viterbi import (
    best_spans,
    log_softmax,
    only_in_text,
    tag_spans,
    viterbi,
)
from hgr_tf.qa.windows import Window

Choice = Literal["tags", "type", "span"]
"""What decides: the tags alone; the type head between no answer, the best span and
the tags; or the best span alone, which is the single-span baseline."""

MAX_TOKENS = 30
"""Most tokens of the best span."""


@dataclass(frozen=True)
class Prediction:
    """The answer to a question.

    Attributes:
        id: The question's.
        type: One of `TYPES`, by the number of spans.
        spans: Spans of characters of the text, ascending.
        texts: Their texts.
        scores: A probability for each: the geometric mean over the tokens of a
            tagged span, or that of the first and last token of the best span.
    """

    id: str
    type: str
    spans: tuple[Span, ...]
    texts: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class _Reading:
    """What a window says: log probabilities and spans of characters with scores."""

    types: np.ndarray
    tagged: dict[Span, float]
    best: tuple[Span, float] | None
    null: float


def decode(
    outputs: Mapping[str, np.ndarray],
    windows: Sequence[Window],
    examples: Sequence[QAExample],
    choice: Choice = "tags",
) -> list[Prediction]:
    """Answers each question by all of its windows.

    Spans of several windows are joined; of those that overlap the likeliest stays.

    Args:
        outputs: A `MultiSpanReader`'s outputs for the windows: "tags" [windows,
            tokens, 2 or 3], "start" and "end" [windows, tokens], "answer_type"
            [windows, 3]; all are logits.
        windows: The windows, those of a question beside each other.
        examples: The questions that were cut.
        choice: What decides.

    Returns:
        A prediction for each question, in order.

    Raises:
        ValueError: `choice` is unknown.
    """
    if choice not in get_args(Choice):
        raise ValueError(f"`choice` must be one of {get_args(Choice)}, got {choice!r}")
    readings: list[list[_Reading]] = [[] for _ in examples]
    for window, reading in zip(windows, _read(outputs, windows), strict=True):
        readings[window.example].append(reading)
    choose = {"tags": _by_tags, "type": _by_type, "span": _by_span}[choice]
    return [
        _prediction(example, choose(read))
        for example, read in zip(examples, readings, strict=True)
    ]


def _read(
    outputs: Mapping[str, np.ndarray], windows: Sequence[Window]
) -> list[_Reading]:
    tokens = outputs["start"].shape[1]
    context = np.zeros((len(windows), tokens), np.int32)
    for row, window in enumerate(windows):
        context[row, window.first : window.last] = 1
    tags = only_in_text(log_softmax(np.asarray(outputs["tags"], float)), context)
    tagging: Tagging = "bio" if tags.shape[-1] == num_tags("bio") else "io"
    paths = viterbi(tags)
    start, end = (log_softmax(np.asarray(outputs[k], float)) for k in ("start", "end"))
    spans, scores = best_spans(start, end, context, MAX_TOKENS)
    types = log_softmax(np.asarray(outputs["answer_type"], float))
    readings = []
    for row, window in enumerate(windows):
        chosen = np.take_along_axis(tags[row], paths[row][:, None], -1)[:, 0]
        tagged = {
            window.characters(first, last): float(chosen[first : last + 1].mean())
            for first, last in tag_spans(paths[row], tagging)
        }
        best = None
        if np.isfinite(scores[row]):
            best = window.characters(*spans[row].tolist()), float(scores[row])
        null = float(start[row, 0] + end[row, 0])
        readings.append(_Reading(types[row], tagged, best, null))
    return readings


def _by_tags(readings: list[_Reading]) -> dict[Span, float]:
    joined: dict[Span, float] = {}
    for reading in readings:
        for span, score in reading.tagged.items():
            joined[span] = max(score, joined.get(span, -np.inf))
    kept: dict[Span, float] = {}
    for span, score in sorted(joined.items(), key=lambda item: -item[1]):
        if all(span[1] <= start or end <= span[0] for start, end in kept):
            kept[span] = score
    return kept


def _by_span(readings: list[_Reading]) -> dict[Span, float]:
    # A window without the answer says so: the least sure of them decides.
    null = min(reading.null for reading in readings)
    best = _best(readings)
    return best if best and max(best.values()) > null else {}


def _by_type(readings: list[_Reading]) -> dict[Span, float]:
    answering = [r for r in readings if r.types[0] < np.log(0.5)]
    if not answering:
        return {}
    surest = min(answering, key=lambda reading: reading.types[0])
    if surest.types[2] > surest.types[1]:
        return _by_tags(answering) or _best(answering)
    return _best(answering)


def _best(readings: list[_Reading]) -> dict[Span, float]:
    found = [reading.best for reading in readings if reading.best is not None]
    return dict([max(found, key=lambda item: item[1])]) if found else {}


def _prediction(example: QAExample, found: dict[Span, float]) -> Prediction:
    spans = tuple(sorted(found))
    return Prediction(
        example.id,
        TYPES[min(len(spans), 2)],
        spans,
        example.texts(spans),
        tuple(float(np.exp(found[span])) for span in spans),
    )
