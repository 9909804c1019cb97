"""decode: from the answers of windows to those of questions. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hgr_tf.qa.example import TYPES, QAExample, Span
from hgr_tf.qa.targets import Tagging, tag_spans
from hgr_tf.qa.windows import Window

Choice = Literal["both", "tags", "type", "span"]
"""What decides on an answer.

both    the tags, but the best span where they give several and the type head says one
tags    the tags alone
type    the type head alone, between no answer, the best span and the tags
span    the best span alone: the single-span baseline
"""


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
    """What a window says: probabilities, and spans of characters with scores."""

    types: np.ndarray
    tagged: dict[Span, float]
    best: tuple[Span, float] | None
    no_answer: float


def decode(
    found: Mapping[str, np.ndarray],
    windows: Sequence[Window],
    examples: Sequence[QAExample],
    choice: Choice = "both",
    tagging: Tagging = "bio",
) -> list[Prediction]:
    """Answers each question by all of its windows.

    Spans of several windows are joined; of those that overlap the likeliest stays.

    Args:
        found: What `window_answers`, or a server, gave for the windows.
        windows: The windows.
        examples: The questions that were cut.
        choice: What decides.
        tagging: What the reader was trained with.

    Returns:
        A prediction for each question, in order.

    Raises:
        ValueError: `choice` is unknown.
    """
    if choice not in get_args(Choice):
        raise ValueError(f"`choice` must be one of {get_args(Choice)}, got {choice!r}")
    readings: list[list[_Reading]] = [[] for _ in examples]
    for row, window in enumerate(windows):
        one = {name: np.asarray(values[row]) for name, values in found.items()}
        readings[window.example].append(_read(one, window, tagging))
    choose = _CHOICES[choice]
    return [
        _prediction(example, choose(read))
        for example, read in zip(examples, readings, strict=True)
    ]


def _read(found: dict[str, np.ndarray], window: Window, tagging: Tagging) -> _Reading:
    tagged = {
        window.characters(first, last): _mean(found["tag_scores"][first : last + 1])
        for first, last in tag_spans(found["tags"], tagging)
    }
    best = None
    if window.offsets:
        best = window.characters(*found["span"].tolist()), float(found["span_score"])
    return _Reading(found["answer_type"], tagged, best, float(found["no_answer_score"]))


def _mean(probabilities: np.ndarray) -> float:
    """The geometric mean."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(probabilities.astype(float)).mean()))


def _by_tags(readings: list[_Reading]) -> dict[Span, float]:
    joined: dict[Span, float] = {}
    for reading in readings:
        for span, score in reading.tagged.items():
            joined[span] = max(score, joined.get(span, 0.0))
    kept: dict[Span, float] = {}
    for span, score in sorted(joined.items(), key=lambda item: -item[1]):
        if all(span[1] <= start or end <= span[0] for start, end in kept):
            kept[span] = score
    return kept


def _by_span(readings: list[_Reading]) -> dict[Span, float]:
    # A window without the answer says so: the least sure of them decides.
    no_answer = min(reading.no_answer for reading in readings)
    best = _best(readings)
    return best if best and max(best.values()) > no_answer else {}


def _by_type(readings: list[_Reading]) -> dict[Span, float]:
    answering = [r for r in readings if r.types[0] < 0.5]
    if not answering:
        return {}
    surest = min(answering, key=lambda reading: reading.types[0])
    if surest.types[2] > surest.types[1]:
        return _by_tags(answering) or _best(answering)
    return _best(answering)


def _by_both(readings: list[_Reading]) -> dict[Span, float]:
    tagged = _by_tags(readings)
    surest = min(readings, key=lambda reading: reading.types[0])
    if len(tagged) > 1 and surest.types[1] > surest.types[2]:
        return _best(readings)
    return tagged


_CHOICES = {"both": _by_both, "tags": _by_tags, "type": _by_type, "span": _by_span}


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
        tuple(found[span] for span in spans),
    )
