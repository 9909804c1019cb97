"""DROP's JSON: D. Dua et al., "DROP: A Reading Comprehension Benchmark", NAACL 2019.

Its answers are texts without places. Questions that are answered by a number or a
date that must be computed, or by text that is not in the passage, have no span: they
are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hgr_tf.qa.example import QAExample
from hgr_tf.qa.readers.places import placed


def parse(document: dict[str, Any]) -> Iterator[QAExample]:
    """Yields the questions that are answered by spans of their passage."""
    for passage in document.values():
        context = passage["passage"]
        for question in passage["qa_pairs"]:
            given = [question["answer"], *question.get("validated_answers", [])]
            answers = [placed(answer["spans"], context) for answer in given]
            spans, equal = answers[0]
            if not spans:
                continue
            others = [
                *equal,
                *(s for first, more in answers[1:] for s in (first, *more)),
            ]
            yield QAExample(
                str(question["query_id"]),
                question["question"],
                context,
                spans,
                tuple(dict.fromkeys(s for s in others if s and s != spans)),
            )
