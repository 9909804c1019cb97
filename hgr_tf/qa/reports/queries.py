"""Queries: what a question asks of a report's events, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hgr_tf.qa.example import Spans
from hgr_tf.qa.reports.report import Event


@dataclass(frozen=True)
class Query:
    """A kind of question: the asked slot of all events that agree with it.

    Attributes:
        event: Kind of the events that it is about.
        given: Slots that the question names.
        asked: Slot that it asks for.
        pick: "all" of the events, or the "first" or "last" one alone.
    """

    event: str
    given: tuple[str, ...]
    asked: str
    pick: str = "all"

    def answer(self, events: Sequence[Event], slots: dict[str, str]) -> Spans:
        """Places of the answers, where the question names these `slots`."""
        found = [
            event.places[self.asked]
            for event in events
            if event.kind == self.event
            and all(event.slots[name] == slots[name] for name in self.given)
        ]
        if self.pick != "all":
            found = found[:1] if self.pick == "first" else found[-1:]
        return tuple(sorted(found))


QUERIES = {
    "rooms_of_person": Query("enter", ("person",), "room"),
    "times_in_room": Query("enter", ("person", "room"), "time"),
    "people_in_room": Query("enter", ("room",), "person"),
    "first_room": Query("enter", ("person",), "room", "first"),
    "last_room": Query("enter", ("person",), "room", "last"),
    "devices_on": Query("turn_on", ("person",), "device"),
    "devices_off": Query("turn_off", ("person",), "device"),
    "users_of_device": Query("turn_on", ("device",), "person"),
    "times_on": Query("turn_on", ("device",), "time"),
    "sensors_in_room": Query("trigger", ("room",), "sensor"),
    "rooms_of_sensor": Query("trigger", ("sensor",), "room"),
    "arrivals": Query("arrive", (), "person"),
    "departures": Query("leave", (), "person"),
}
"""The kinds of questions by name."""
