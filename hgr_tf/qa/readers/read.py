"""read_examples: questions of a file, whatever known format it has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from hgr_tf.qa.example import QAExample
from hgr_tf.qa.readers import drop, json_lines, multi_span_qa, squad

FORMATS: dict[str, Callable[[Any], Iterator[QAExample]]] = {
    "squad": squad.parse,
    "drop": drop.parse,
    "multi_span_qa": multi_span_qa.parse,
}
"""Parsers of a JSON document by the name of its format; JSON Lines come beside."""


def read_examples(path: str | Path) -> list[QAExample]:
    """Reads the questions of a file; its content tells the format.

    `.jsonl` is JSON Lines, see `hgr_tf.qa.readers.json_lines`. `.json` is one of
    SQuAD's and Quoref's format, DROP's, and MultiSpanQA's with a label per word.

    Args:
        path: The file.

    Returns:
        The questions in the file's order.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is in none of the formats, holds no question, or two of one id;
            the message names the file, and the question where there is one at fault.

    Example:
        >>> read_examples("quoref-dev-v0.1.json")[0].answers
        ('Frankie',)
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".jsonl":
            examples = list(json_lines.parse(text.split("\n")))
        else:
            document = json.loads(text)
            examples = list(FORMATS[_format_of(document)](document))
        _check_ids(examples)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not as its format says: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not examples:
        raise ValueError(f"{path}: must hold at least one question, got none")
    return examples


def write_examples(examples: Iterable[QAExample], path: str | Path) -> None:
    """Writes questions as JSON Lines, which `read_examples` reads back."""
    lines = "".join(json_lines.dump(example) + "\n" for example in examples)
    Path(path).write_text(lines, encoding="utf-8")


def _format_of(document: Any) -> str:
    """The name of a JSON document's format, by what its first entry holds."""
    data = document.get("data") if isinstance(document, dict) else None
    if isinstance(data, list) and data and isinstance(data[0], dict):
        if "paragraphs" in data[0]:
            return "squad"
        if {"label", "context"} <= set(data[0]):
            return "multi_span_qa"
    if isinstance(document, dict) and document and data is None:
        first = next(iter(document.values()))
        if isinstance(first, dict) and {"passage", "qa_pairs"} <= set(first):
            return "drop"
    raise ValueError(
        "must be in SQuAD's or Quoref's format (data/paragraphs), DROP's "
        "(passage/qa_pairs) or MultiSpanQA's (data/label/context)"
    )


def _check_ids(examples: list[QAExample]) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise ValueError(f"ids must be unique, got {example.id!r} twice")
        seen.add(example.id)
