"""MultiSpanQA's JSON: a label B, I or O for each word of the context.

H. Li et al., "MultiSpanQA: A Dataset for Multi-Span Question Answering", NAACL 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hgr_tf.qa.example import QAExample, Span, Spans


def parse(document: dict[str, Any]) -> Iterator[QAExample]:
    """Yields the questions; words are joined by spaces.

    Raises:
        ValueError: A question has not one label B, I or O for each word.
    """
    for entry in document["data"]:
        words, labels = entry["context"], entry["label"]
        if len(words) != len(labels) or not set(labels) <= set("BIO"):
            raise ValueError(
                f"question {entry['id']!r}: `label` must be one of B, I and O for each "
                f"of {len(words)} words, got {len(labels)}: {sorted(set(labels))}"
            )
        question = entry["question"]
        yield QAExample(
            str(entry["id"]),
            question if isinstance(question, str) else " ".join(question),
            " ".join(words),
            _spans(words, labels),
        )


def _spans(words: Sequence[str], labels: Sequence[str]) -> Spans:
    spans: list[Span] = []
    start, before = 0, "O"
    for word, label in zip(words, labels, strict=True):
        end = start + len(word)
        if label == "B" or (label == "I" and before == "O"):
            spans.append((start, end))
        elif label == "I":
            spans[-1] = (spans[-1][0], end)
        start, before = end + 1, label
    return tuple(spans)
