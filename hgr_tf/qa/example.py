"""QAExample: a question, a text, and the spans of the text that answer it."""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[int, int]
"""Start and end of a piece of text in characters, the end excluded."""

Spans = tuple[Span, ...]

TYPES = ("none", "single", "multi")
"""What an answer is: no span of the text, one span, or several."""


@dataclass(frozen=True)
class QAExample:
    """A question about a text, with the spans that answer it.

    Attributes:
        id: Names the question; unique within a file.
        question: The question.
        context: The text that is asked about.
        spans: The answer: spans of characters of `context` in ascending order, which
            do not overlap. Without spans the text does not answer the question.
        alternatives: Answers that are as good as `spans`, each of them complete: what
            other annotators marked, or other places of the same words.

    Raises:
        ValueError: A span is empty or not a part of `context`, or two spans of an
            answer overlap.

    Example:
        >>> QAExample("1", "Who came?", "Ann and Bo came.", ((0, 3), (8, 10))).answers
        ('Ann', 'Bo')
    """

    id: str
    question: str
    context: str
    spans: Spans = ()
    alternatives: tuple[Spans, ...] = ()

    def __post_init__(self) -> None:
        for spans in (self.spans, *self.alternatives):
            self._check(spans)

    @property
    def answers(self) -> tuple[str, ...]:
        """The texts of `spans`."""
        return self.texts(self.spans)

    @property
    def gold_answers(self) -> list[tuple[str, ...]]:
        """The texts of every answer that counts as right, `spans` first."""
        return [self.texts(spans) for spans in (self.spans, *self.alternatives)]

    @property
    def type(self) -> str:
        """One of `TYPES`."""
        return TYPES[min(len(self.spans), 2)]

    def texts(self, spans: Spans) -> tuple[str, ...]:
        """The texts of spans of `context`."""
        return tuple(self.context[start:end] for start, end in spans)

    def _check(self, spans: Spans) -> None:
        last = 0
        for start, end in spans:
            if not 0 <= start < end <= len(self.context):
                raise ValueError(
                    f"question {self.id!r}: `spans` must be parts of a context of "
                    f"{len(self.context)} characters, got ({start}, {end})"
                )
            if start < last:
                raise ValueError(
                    f"question {self.id!r}: `spans` must be ascending and must not "
                    f"overlap, got {spans}"
                )
            last = end
