"""answer_questions and evaluate: a trained reader at work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hgr_tf.qa.decoding import Choice, Prediction, decode
from hgr_tf.qa.example import QAExample
from hgr_tf.qa.metrics import score
from hgr_tf.qa.targets import Tagging
from hgr_tf.qa.tokenization import OffsetTokenizer
from hgr_tf.qa.windows import WindowOptions, cut_windows, model_inputs

if TYPE_CHECKING:
    import tensorflow as tf

    from hgr_tf.qa.run import QARun

log = logging.getLogger(__name__)

Read = Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]
"""What gives the `window_answers` of a batch: `read_with(reader)`, or a server."""

QUESTIONS = 16
"""Questions that are read at once."""


def answer_questions(
    read: Read,
    examples: Sequence[QAExample],
    tokenizer: OffsetTokenizer,
    options: WindowOptions | None = None,
    choices: Sequence[Choice] = ("both",),
    tagging: Tagging = "bio",
) -> Iterator[list[Prediction]]:
    """Answers questions, which need not hold answers.

    Args:
        read: Gives the `window_answers` of `model_inputs`.
        examples: The questions.
        tokenizer: What the reader was trained with.
        options: How texts are cut.
        choices: What decides; each gives an answer of its own.
        tagging: What the reader was trained with.

    Yields:
        For each question, in order, the prediction of each choice.
    """
    for low in range(0, len(examples), QUESTIONS):
        part = examples[low : low + QUESTIONS]
        windows = cut_windows(part, tokenizer, options)
        batches = [
            read(model_inputs(windows[i : i + QUESTIONS], tokenizer, _length(windows)))
            for i in range(0, len(windows), QUESTIONS)
        ]
        found = {
            name: np.concatenate([np.asarray(batch[name]) for batch in batches])
            for name in batches[0]
        }
        decoded = [decode(found, windows, part, one, tagging) for one in choices]
        yield from map(list, zip(*decoded, strict=True))
        done = min(low + QUESTIONS, len(examples))
        log.info("answering", extra={"done": done, "total": len(examples)})


def evaluate(
    run: QARun, examples: Sequence[QAExample], choices: Sequence[Choice] | None = None
) -> dict[str, dict[str, float]]:
    """Scores a run's answers by each of several choices.

    Args:
        run: A trained run.
        examples: Questions with their answers.
        choices: What decides; that of the run's config by default.

    Returns:
        The scores, as `score` gives them, by choice.
    """
    choices = choices or (run.config.choice,)
    answered = list(
        answer_questions(
            read_with(run.reader),
            examples,
            run.tokenizer,
            run.config.windows,
            choices,
            run.config.tagging,
        )
    )
    scores: dict[str, dict[str, float]] = {}
    for index, choice in enumerate(choices):
        texts = {row[index].id: row[index].texts for row in answered}
        scores[choice] = score(examples, texts)
    return scores


def read_with(reader: tf.keras.Model) -> Read:
    """Reads with a `MultiSpanReader`, in a graph that takes windows of any size."""
    import tensorflow as tf

    from hgr_tf.qa.window_answers import window_answers

    @tf.function(reduce_retracing=True)
    def read(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        logits = reader(inputs, training=False)
        return window_answers(logits, inputs["context_mask"])

    return lambda inputs: read({k: tf.constant(v) for k, v in inputs.items()})


def _length(windows: Sequence[Any]) -> int:
    return max(len(window.token_ids) for window in windows)
