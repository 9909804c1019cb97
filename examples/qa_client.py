"""Asks a served reader about a report.

hgr-tf qa export --run runs/reader --output models/reader
hgr-tf serve --model models/reader
python examples/qa_client.py models/reader report.txt "Who came home?"
"""

from __future__ import annotations

import sys
from pathlib import Path

from hgr_tf.export.client import Client
from hgr_tf.export.versions import version_path
from hgr_tf.qa import Served

ADDRESS = "127.0.0.1:8500"


def main(model: str, report: str, *questions: str) -> None:
    """Prints the answers to questions about a text file."""
    text = Path(report).read_text(encoding="utf-8")
    with Client(ADDRESS, Path(model).name, timeout_seconds=30) as client:
        # The version's folder has the tokenizer; the server has the model.
        served = Served(version_path(model), client.predict)
        for question, answer in zip(
            questions, served.answer(text, questions), strict=True
        ):
            found = zip(answer.texts, answer.spans, answer.scores, strict=True)
            print(question, [(t, span, round(s, 3)) for t, span, s in found])


if __name__ == "__main__":
    main(*sys.argv[1:])
