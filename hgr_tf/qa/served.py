"""Served: answers by an exported reader, on a server or in this process.

Loads neither Keras nor TensorFlow's Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hgr_tf.features.strict_model import Strict
from hgr_tf.qa.answers import Read, answer_questions
from hgr_tf.qa.decoding import Choice, Prediction
from hgr_tf.qa.example import QAExample
from hgr_tf.qa.tokenization import OffsetTokenizer
from hgr_tf.qa.windows import WindowOptions

ASSETS = "assets.extra"
FILE = Path(ASSETS) / "qa.json"
"""How texts are cut and answers chosen; the tokenizer is beside it."""


class ServedOptions(Strict):
    """How an exported reader is asked; see `QAConfig` for the fields."""

    windows: WindowOptions
    tagging: Literal["bio", "io"]
    choice: Choice

    def save(self, folder: str | Path) -> None:
        """Writes the options into a SavedModel's assets.extra."""
        text = self.model_dump_json(indent=1) + "\n"
        (Path(folder) / FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> ServedOptions:
        """Reads what `save` wrote.

        Raises:
            ValueError: The folder is no version of a reader.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise ValueError(f"{folder}: no {FILE}: not a version of a reader")
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


class Served:
    """An exported reader: its tokenizer and options, and what runs its graph.

    Args:
        folder: A version of a reader, as `export_reader` publishes it.
        read: Runs its signature, such as `Client.predict` of a server; the version
            itself in this process by default.

    Example:
        >>> with Client("127.0.0.1:8500", "reader") as client:
        ...     served = Served("models/reader/1", client.predict)
        ...     [answer] = served.answer(report, ["Who came home?"])
        >>> answer.texts
        ('Ann', 'Bo')
    """

    def __init__(self, folder: str | Path, read: Read | None = None):
        self._options = ServedOptions.load(folder)
        self._tokenizer = OffsetTokenizer.load(Path(folder) / ASSETS)
        self._read = read or _in_this_process(folder)

    def answer(
        self, context: str, questions: Sequence[str], choice: Choice | None = None
    ) -> list[Prediction]:
        """Answers questions about a text.

        Args:
            context: The text.
            questions: The questions.
            choice: What decides; the run's by default.

        Returns:
            A prediction for each question, whose ids count from 1.
        """
        examples = [
            QAExample(str(number), question, context)
            for number, question in enumerate(questions, start=1)
        ]
        answered = answer_questions(
            self._read,
            examples,
            self._tokenizer,
            self._options.windows,
            [choice or self._options.choice],
            self._options.tagging,
        )
        return [prediction for (prediction,) in answered]


def _in_this_process(folder: str | Path) -> Read:
    from hgr_tf.export.runtime.protos import protos_only

    with protos_only():
        from hgr_tf.export.runtime.session import ServingSession

    session = ServingSession(folder)
    return lambda inputs: session.call("serving_default", inputs)
