"""What a reader learns of windows: tags, spans and the type of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hgr_tf.qa.example import TYPES, QAExample, Span
from hgr_tf.qa.windows import Window

Tagging = Literal["bio", "io"]
OUTSIDE, BEGIN = 0, 1


def num_tags(tagging: Tagging) -> int:
    """3 tags O, B, I for "bio", 2 tags O, I for "io"."""
    return 3 if tagging == "bio" else 2


def window_targets(
    windows: Sequence[Window],
    examples: Sequence[QAExample],
    length: int,
    tagging: Tagging = "bio",
) -> dict[str, np.ndarray]:
    """Targets of windows.

    Args:
        windows: As `cut_windows` gives them.
        examples: The questions that were cut.
        length: Tokens of each window.
        tagging: "bio", or "io" whose adjacent spans become one.

    Returns:
        "tags" [windows, length] int32: 0 outside of answers, 1 at their first
        tokens, and 2 within them ("io": 1 for each token of an answer); -1 where the
        loss must not look: outside of the text, and in places that are as good an
        answer as the marked ones. "spans" [windows, most, 2] int32: first and last
        token of every span that is right as a single answer, padded with -1; token 0
        stands for no answer. "answer_type" [windows] int32: index in `TYPES`, "none"
        for a window that holds no span of its question's answer.
    """
    tags = np.full((len(windows), length), -1, np.int32)
    types = np.zeros(len(windows), np.int32)
    single: list[list[Span]] = []
    for row, window in enumerate(windows):
        example = examples[window.example]
        marked = window.token_spans(example.spans)
        equal = [
            span for spans in example.alternatives for span in window.token_spans(spans)
        ]
        tags[row, window.first : window.last] = OUTSIDE
        for first, last in equal:
            tags[row, first : last + 1] = -1
        for first, last in marked:
            tags[row, first : last + 1] = num_tags(tagging) - 1
            tags[row, first] = BEGIN
        if marked:
            types[row] = TYPES.index(example.type)
        single.append(list(dict.fromkeys([*marked, *equal])) or [(0, 0)])
    spans = np.full((len(windows), max(map(len, single), default=1), 2), -1, np.int32)
    for row, found in enumerate(single):
        spans[row, : len(found)] = found
    return {"tags": tags, "spans": spans, "answer_type": types}


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
