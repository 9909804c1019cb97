"""Where answers that are given as texts occur in a context."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hgr_tf.qa.example import Span, Spans


def occurrences(text: str, context: str) -> list[Span]:
    """Spans of `context` that are `text`, as whole words where there are such.

    Upper and lower case count as equal where the exact text does not occur.
    """
    if not text:
        return []
    for flags in (re.RegexFlag(0), re.IGNORECASE):
        found = [m.span() for m in re.finditer(re.escape(text), context, flags)]
        whole = [span for span in found if _is_whole(span, context)]
        if found:
            return whole or found
    return []


def placed(texts: Sequence[str], context: str) -> tuple[Spans, tuple[Spans, ...]]:
    """Places each text of an answer in the context.

    Returns:
        The first places of all texts, and every answer that differs from it in one
        text's place. Nothing where a text does not occur, or only within another.
    """
    places = [occurrences(text, context) for text in dict.fromkeys(texts)]
    first: list[Span] = []
    for spans in places:
        free = next((span for span in spans if not _meets(span, first)), None)
        if free is None:
            return (), ()
        first.append(free)
    alternatives = []
    for index, spans in enumerate(places):
        others = first[:index] + first[index + 1 :]
        alternatives += [
            tuple(sorted([*others, span]))
            for span in spans
            if span != first[index] and not _meets(span, others)
        ]
    return tuple(sorted(first)), tuple(alternatives)


def _is_whole(span: Span, context: str) -> bool:
    start, end = span
    before, after = context[start - 1 : start], context[end : end + 1]
    inside_word = (before.isalnum() and context[start].isalnum()) or (
        after.isalnum() and context[end - 1].isalnum()
    )
    return not inside_word


def _meets(span: Span, others: list[Span]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)
