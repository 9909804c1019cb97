"""SQuAD's JSON, which Quoref and XQuAD use too.

SQuAD: P. Rajpurkar et al., EMNLP 2016; Quoref: P. Dasigi et al., EMNLP 2019. In
SQuAD several `answers` of a question are what several people marked, each of them
right; in Quoref they are the spans of one answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hgr_tf.qa.example import QAExample, Span, Spans


def parse(document: dict[str, Any]) -> Iterator[QAExample]:
    """Yields the questions of a document.

    Quoref's paragraphs have a `context_id`, SQuAD's have not: that says what several
    answers mean.

    Raises:
        ValueError: An answer's text is not in its context.
    """
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            is_quoref = "context_id" in paragraph
            context = paragraph["context"]
            for question in paragraph["qas"]:
                answers = _answers(question, context, is_quoref)
                spans = answers[0] if answers else ()
                yield QAExample(
                    str(question["id"]),
                    question["question"],
                    context,
                    spans,
                    tuple(answers[1:]),
                )


def _answers(question: dict[str, Any], context: str, is_quoref: bool) -> list[Spans]:
    if question.get("is_impossible"):
        return []
    found = [_span(answer, context, question["id"]) for answer in question["answers"]]
    spans = list(dict.fromkeys(found))
    if is_quoref:
        return [_without_overlaps(spans)]
    return [(span,) for span in spans]


def _span(answer: dict[str, Any], context: str, question_id: object) -> Span:
    """Where an answer is: the nearest place, as some published places are off."""
    start, text = answer["answer_start"], answer["text"]
    places = [m.start() for m in re.finditer(re.escape(text), context)] if text else []
    if not places:
        raise ValueError(
            f"question {question_id!r}: `text` of an answer must be in the context, "
            f"got {text!r}"
        )
    nearest = min(places, key=lambda place: abs(place - start))
    return nearest, nearest + len(text)


def _without_overlaps(spans: list[Span]) -> Spans:
    """The longest of the spans that overlap."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: span[0] - span[1]):
        if all(span[1] <= start or end <= span[0] for start, end in kept):
            kept.append(span)
    return tuple(sorted(kept))
