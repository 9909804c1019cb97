"""cut_windows: questions with their texts as windows of tokens that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator

from hgr_tf.features.strict_model import Strict
from hgr_tf.qa.example import QAExample, Span, Spans
from hgr_tf.qa.tokenization import OffsetTokenizer, Tokens


class WindowOptions(Strict):
    """How texts that are longer than a window are cut.

    Attributes:
        max_length: Tokens of a window, question and special tokens included.
        overlap: Tokens of the text that a window shares with the next one.
        max_question: Tokens of a question; the rest is cut off.
    """

    max_length: int = Field(256, ge=16)
    overlap: int = Field(64, ge=0)
    max_question: int = Field(64, ge=1)

    @model_validator(mode="after")
    def _leaves_text(self) -> WindowOptions:
        room = self.max_length - self.max_question - _SPECIAL
        if self.overlap >= room:
            raise ValueError(
                "`overlap` must be less than the tokens that a window has for text, "
                f"max_length - max_question - {_SPECIAL} = {room}, got {self.overlap}"
            )
        return self


_SPECIAL = 4  # RoBERTa's; BERT has 3


@dataclass(frozen=True)
class Window:
    """A part of a text with the whole question.

    Attributes:
        example: Index of the question among those that were cut.
        token_ids: Ids of all tokens, padding left out.
        first: Index of the text's first token in `token_ids`.
        offsets: Characters of each token of the text.
    """

    example: int
    token_ids: list[int]
    first: int
    offsets: list[Span]

    @property
    def last(self) -> int:
        """Index after that of the text's last token."""
        return self.first + len(self.offsets)

    def token_span(self, span: Span) -> Span | None:
        """First and last token (included) of a span of characters.

        None where the window does not hold all of the span's tokens, or where the
        span has none.
        """
        start, end = span
        inside = [
            i
            for i, (low, high) in enumerate(self.offsets)
            if low < end and start < high
        ]
        if not inside or self.offsets[inside[0]][0] > start:
            return None
        if self.offsets[inside[-1]][1] < end:
            return None
        return self.first + inside[0], self.first + inside[-1]

    def characters(self, first: int, last: int) -> Span:
        """Span of characters of the tokens from `first` to `last`, included."""
        return self.offsets[first - self.first][0], self.offsets[last - self.first][1]

    def token_spans(self, spans: Spans) -> list[Span]:
        """The `token_span` of those that the window holds."""
        found = (self.token_span(span) for span in spans)
        return [span for span in found if span is not None]


def cut_windows(
    examples: Sequence[QAExample],
    tokenizer: OffsetTokenizer,
    options: WindowOptions | None = None,
) -> list[Window]:
    """Cuts the text of each question into windows, at least one of them.

    Args:
        examples: The questions.
        tokenizer: Makes tokens of questions and texts.
        options: Sizes.

    Returns:
        The windows of the first question in the order of its text, of the second, ...
    """
    options = options or WindowOptions()
    questions = tokenizer.encode([example.question for example in examples])
    # Many questions ask about one text.
    contexts = list(dict.fromkeys(example.context for example in examples))
    tokens = dict(zip(contexts, tokenizer.encode(contexts), strict=True))
    windows = []
    for index, example in enumerate(examples):
        prefix = tokenizer.prefix(questions[index].ids[: options.max_question])
        room = options.max_length - len(prefix) - len(tokenizer.suffix)
        for part in _parts(tokens[example.context], room, options.overlap):
            ids = [*prefix, *part.ids, *tokenizer.suffix]
            windows.append(Window(index, ids, len(prefix), part.offsets))
    return windows


def model_inputs(
    windows: Sequence[Window], tokenizer: OffsetTokenizer, length: int | None = None
) -> dict[str, np.ndarray]:
    """What a reader takes of windows: arrays [windows, length].

    Args:
        windows: As `cut_windows` gives them.
        tokenizer: What they were cut with.
        length: Tokens of each; the longest's by default.

    Returns:
        "token_ids" and "segment_ids" int32 (1 from the text on, where the tokenizer
        is BERT's), "padding_mask" int32 (0 is padding), "context_mask" int32 (1 for
        tokens of the text).
    """
    length = length or max((len(w.token_ids) for w in windows), default=1)
    shape = len(windows), length
    ids = np.full(shape, tokenizer.pad_id, np.int32)
    segments, padding, context = (np.zeros(shape, np.int32) for _ in range(3))
    for row, window in enumerate(windows):
        size = len(window.token_ids)
        ids[row, :size] = window.token_ids
        padding[row, :size] = 1
        context[row, window.first : window.last] = 1
        if tokenizer.style == "bert":
            segments[row, window.first : size] = 1
    return {
        "token_ids": ids,
        "segment_ids": segments,
        "padding_mask": padding,
        "context_mask": context,
    }


def _parts(tokens: Tokens, room: int, overlap: int) -> list[Tokens]:
    parts, low, count = [], 0, len(tokens.ids)
    while True:
        high = low + room
        parts.append(Tokens(tokens.ids[low:high], tokens.offsets[low:high]))
        if high >= count:
            return parts
        low = high - overlap
