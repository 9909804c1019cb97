"""JSON Lines: a question per line, which is also what `hgr-tf qa generate` writes.

{"id": "1", "question": "Who came?", "context": "Ann and Bo came.",
 "spans": [[0, 3], [8, 10]], "alternatives": []}

`id` may be left out, and is then the number of the line; so may `alternatives`, and
`spans` where no answer is known or the text gives none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from hgr_tf.features.strict_model import describe
from hgr_tf.qa.example import QAExample


class _Line(TypedDict):
    id: NotRequired[str | int]
    question: str
    context: str
    spans: NotRequired[list[tuple[int, int]]]
    alternatives: NotRequired[list[list[tuple[int, int]]]]


_LINE: TypeAdapter[Any] = TypeAdapter(_Line)


def parse(lines: Iterable[str]) -> Iterator[QAExample]:
    """Yields the question of each line that is not empty.

    Raises:
        ValueError: A line is not such JSON; the message names line and field.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = _LINE.validate_json(line)
        except ValidationError as error:
            raise ValueError(f"line {number}: {describe(error)}") from error
        try:
            yield QAExample(
                str(entry.get("id", number)),
                entry["question"],
                entry["context"],
                tuple(entry.get("spans", ())),
                tuple(tuple(spans) for spans in entry.get("alternatives", ())),
            )
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error


def dump(example: QAExample) -> str:
    """The line of a question."""
    entry: dict[str, Any] = {
        "id": example.id,
        "question": example.question,
        "context": example.context,
        "spans": example.spans,
    }
    if example.alternatives:
        entry["alternatives"] = example.alternatives
    return json.dumps(entry, ensure_ascii=False)
