"""A report: events in the order of time, and the text that tells of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from hgr_tf.qa.example import Span
from hgr_tf.qa.reports.words import EVENTS, Words

_SLOT = re.compile(r"\{(\w+)\}")
_PEOPLE, _ROOMS, _THINGS = 3, 4, 3
"""How many of each a report is about: few, so that they come up again."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        kind: One of `EVENTS`.
        slots: Value of each slot of its sentence, such as {"person": "Ben"}.
        places: Where the report says each of them, in characters.
    """

    kind: str
    slots: dict[str, str]
    places: dict[str, Span]


def write_report(
    words: Words, num_events: int, random: np.random.Generator
) -> tuple[str, list[Event]]:
    """Draws a report of `num_events` events.

    Returns:
        The text, a sentence per event, and the events with their places in it.
    """
    cast = {
        "person": _some(words.names["person"], _PEOPLE, random),
        "room": _some(words.names["room"], _ROOMS, random),
        "device": _some(words.names["device"], _THINGS, random),
        "sensor": _some(words.names["sensor"], _THINGS, random),
    }
    text, events = "", []
    for minutes in np.sort(random.choice(np.arange(360, 1380), num_events, False)):
        kind = EVENTS[random.choice(len(EVENTS), p=_SHARES)]
        template = _one(words.reports[kind], random)
        slots = {name: _one(cast[name], random) for name in cast}
        slots["time"] = f"{minutes // 60}:{minutes % 60:02d}"
        text += " " if text else ""
        sentence, places = _fill(template, slots, len(text))
        text += sentence
        told = {name: slots[name] for name in places}
        events.append(Event(kind, told, places))
    return text, events


_SHARES = (0.32, 0.2, 0.12, 0.16, 0.1, 0.1)


def fill(template: str, slots: dict[str, str]) -> str:
    """A template with its slots filled."""
    return _fill(template, slots, 0)[0]


def _fill(
    template: str, slots: dict[str, str], offset: int
) -> tuple[str, dict[str, Span]]:
    text, places, done = "", {}, 0
    for slot in _SLOT.finditer(template):
        text += template[done : slot.start()]
        value = slots[slot.group(1)]
        start = offset + len(text)
        places[slot.group(1)] = (start, start + len(value))
        text += value
        done = slot.end()
    return text + template[done:], places


def _some(
    values: tuple[str, ...], count: int, random: np.random.Generator
) -> tuple[str, ...]:
    return tuple(values[i] for i in random.permutation(len(values))[:count])


def _one(values: tuple[str, ...], random: np.random.Generator) -> str:
    return values[random.integers(len(values))]
