"""generate: questions about drawn reports, of which training can be given any number.

Whether an answer has no span, one or several depends on the question and on the
report: "Where did Ben go?" has as many spans as the report tells of Ben entering rooms.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field, model_validator

from hgr_tf.features.strict_model import Strict
from hgr_tf.qa.example import TYPES, QAExample, Spans
from hgr_tf.qa.readers import write_examples
from hgr_tf.qa.reports.queries import QUERIES, Query
from hgr_tf.qa.reports.report import Event, fill, write_report
from hgr_tf.qa.reports.words import SEEN, UNSEEN, Words

SPLITS = ("train", "val", "test", "unseen")
"""Files of `write_reports`; "unseen" has names and templates of its own."""

_TRIES = 100


class ReportOptions(Strict):
    """What generated reports and questions are like.

    Attributes:
        min_events: Fewest events of a report.
        max_events: Most events of a report.
        no_answer: Share of the questions that the report does not answer.
        multi: Share of the questions whose answer has several spans.
    """

    min_events: int = Field(5, ge=2)
    max_events: int = Field(9, ge=2, le=200)
    no_answer: float = Field(0.1, ge=0, le=1)
    multi: float = Field(0.4, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> ReportOptions:
        if self.max_events < self.min_events:
            raise ValueError(
                f"`max_events` must be at least `min_events`, {self.min_events}, "
                f"got {self.max_events}"
            )
        if self.no_answer + self.multi > 1:
            raise ValueError(
                "`no_answer` and `multi` must be at most 1 together, got "
                f"{self.no_answer + self.multi:g}"
            )
        return self


def generate(
    count: int,
    *,
    seed: int = 0,
    unseen: bool = False,
    options: ReportOptions | None = None,
    name: str = "report",
) -> Iterator[QAExample]:
    """Yields `count` questions, each about a report of its own.

    Args:
        count: Number of questions.
        seed: Seed of all that is drawn.
        unseen: Whether names and templates are those that training never sees.
        options: What reports and questions are like.
        name: Prefix of the questions' ids.

    Raises:
        ValueError: `count` is negative.

    Example:
        >>> [example] = generate(1, seed=3)
        >>> example.question, example.answers
    """
    if count < 0:
        raise ValueError(f"`count` must be at least 0, got {count}")
    options = options or ReportOptions()
    words = UNSEEN if unseen else SEEN
    random = np.random.default_rng(seed)
    shares = (options.no_answer, 1 - options.no_answer - options.multi, options.multi)
    for number in range(count):
        wanted = TYPES[random.choice(3, p=shares)]
        question, context, spans = _draw(wanted, words, options, random)
        yield QAExample(f"{name}-{number}", question, context, spans)


def write_reports(
    folder: str | Path,
    counts: dict[str, int],
    *,
    seed: int = 0,
    options: ReportOptions | None = None,
) -> dict[str, Path]:
    """Writes a JSON Lines file for each split, reports of which no two share.

    Args:
        folder: Where to; made if absent.
        counts: Number of questions of each of `SPLITS` to write.
        seed: Seed of all that is drawn; each split has its own stream.
        options: What reports and questions are like.

    Returns:
        The files by split.

    Raises:
        ValueError: A split is not one of `SPLITS`.
    """
    unknown = sorted(set(counts) - set(SPLITS))
    if unknown:
        raise ValueError(f"`counts` must be of the splits {SPLITS}, got {unknown}")
    Path(folder).mkdir(parents=True, exist_ok=True)
    files = {}
    for split, count in counts.items():
        stream = seed * len(SPLITS) + SPLITS.index(split)
        unseen = split == "unseen"
        drawn = generate(count, seed=stream, unseen=unseen, options=options, name=split)
        files[split] = Path(folder) / f"{split}.jsonl"
        write_examples(drawn, files[split])
    return files


def _draw(
    wanted: str, words: Words, options: ReportOptions, random: np.random.Generator
) -> tuple[str, str, Spans]:
    """A question of the wanted type; of another one where many tries gave none."""
    for _ in range(_TRIES):
        size = random.integers(options.min_events, options.max_events + 1)
        context, events = write_report(words, int(size), random)
        names = list(QUERIES)
        for index in random.permutation(len(names)):
            name, query = names[index], QUERIES[names[index]]
            slots = _slots(query, events, words, wanted, random)
            spans = query.answer(events, slots)
            templates = words.questions[name]
            question = fill(templates[random.integers(len(templates))], slots)
            if TYPES[min(len(spans), 2)] == wanted:
                return question, context, spans
    return question, context, spans


def _slots(
    query: Query,
    events: list[Event],
    words: Words,
    wanted: str,
    random: np.random.Generator,
) -> dict[str, str]:
    """What a question names: of an event that it is about, or at random for none.

    Half of the questions without an answer name what other events have.
    """
    alike = [event for event in events if event.kind == query.event]
    if wanted != "none" and alike:
        event = alike[random.integers(len(alike))]
        return {name: event.slots[name] for name in query.given}
    slots = {}
    for name in query.given:
        told = [event.slots[name] for event in events if name in event.slots]
        among = told if told and random.random() < 0.5 else list(words.names[name])
        slots[name] = among[random.integers(len(among))]
    return slots
