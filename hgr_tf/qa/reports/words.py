"""The words of generated reports: names and templates, and those kept for a test.

`SEEN` is what training and its test draw from. `UNSEEN` shares no person, room,
device, sensor and no template with it, and asks about the same things.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENTS = ("enter", "turn_on", "turn_off", "trigger", "arrive", "leave")
"""What can happen; every event has a time, and the slots that its templates name."""


@dataclass(frozen=True)
class Words:
    """What reports and questions are made of.

    Attributes:
        names: Values of each slot ("person", "room", "device", "sensor").
        reports: Templates of a sentence for each of `EVENTS`, with slots in braces.
        questions: Templates of a question for each name of a `Query`.
    """

    names: dict[str, tuple[str, ...]]
    reports: dict[str, tuple[str, ...]]
    questions: dict[str, tuple[str, ...]]


SEEN = Words(
    names={
        "person": (
            *("Alice", "Ben", "Carla", "David", "Emma", "Frank", "Grace", "Henry"),
            *("Isabel", "Jack", "Laura", "Martin", "Nora", "Oscar", "Paula", "Ravi"),
        ),
        "room": (
            *("kitchen", "living room", "bedroom", "bathroom", "hallway", "garage"),
            *("office", "dining room", "basement", "guest room"),
        ),
        "device": (
            *("television", "oven", "desk lamp", "heater", "coffee machine", "radio"),
            *("washing machine", "ceiling fan", "dishwasher", "vacuum cleaner"),
        ),
        "sensor": (
            *("motion sensor", "smoke detector", "door sensor", "water leak sensor"),
            *("window sensor", "temperature sensor"),
        ),
    },
    reports={
        "enter": (
            "At {time} {person} entered the {room}.",
            "{person} walked into the {room} at {time}.",
            "{time}: the camera saw {person} in the {room}.",
        ),
        "turn_on": (
            "At {time} {person} turned on the {device} in the {room}.",
            "{person} switched the {device} in the {room} on at {time}.",
            "{time}: the {device} in the {room} was turned on by {person}.",
        ),
        "turn_off": (
            "At {time} {person} turned off the {device} in the {room}.",
            "{person} switched the {device} in the {room} off at {time}.",
            "{time}: the {device} in the {room} was turned off by {person}.",
        ),
        "trigger": (
            "At {time} the {sensor} in the {room} was triggered.",
            "The {sensor} in the {room} went off at {time}.",
            "{time}: an alert came from the {sensor} in the {room}.",
        ),
        "arrive": (
            "At {time} {person} came home.",
            "{person} arrived home at {time}.",
            "{time}: the doorbell camera saw {person} arrive.",
        ),
        "leave": (
            "At {time} {person} left the house.",
            "{person} went out at {time}.",
            "{time}: the doorbell camera saw {person} leave.",
        ),
    },
    questions={
        "rooms_of_person": (
            "Which rooms did {person} enter?",
            "Where did {person} go?",
            "What rooms did {person} walk into?",
        ),
        "times_in_room": (
            "When did {person} enter the {room}?",
            "At what time did {person} walk into the {room}?",
        ),
        "people_in_room": (
            "Who entered the {room}?",
            "Who walked into the {room}?",
            "Which people were seen in the {room}?",
        ),
        "first_room": (
            "Which room did {person} enter first?",
            "Where did {person} go first?",
        ),
        "last_room": (
            "Which room did {person} enter last?",
            "Where did {person} go last?",
        ),
        "devices_on": (
            "Which devices did {person} turn on?",
            "What did {person} switch on?",
        ),
        "devices_off": (
            "Which devices did {person} turn off?",
            "What did {person} switch off?",
        ),
        "users_of_device": (
            "Who turned on the {device}?",
            "Which people switched the {device} on?",
        ),
        "times_on": (
            "When was the {device} turned on?",
            "At what time was the {device} switched on?",
        ),
        "sensors_in_room": (
            "Which sensors were triggered in the {room}?",
            "What went off in the {room}?",
        ),
        "rooms_of_sensor": (
            "Where was the {sensor} triggered?",
            "In which rooms did the {sensor} go off?",
        ),
        "arrivals": ("Who came home?", "Which people arrived?"),
        "departures": ("Who left the house?", "Which people went out?"),
    },
)

UNSEEN = Words(
    names={
        "person": (
            *("Amir", "Beatrix", "Chloe", "Dmitri", "Elena", "Farah", "Gustavo"),
            *("Hiroshi", "Ingrid", "Jamal", "Keiko", "Lars"),
        ),
        "room": (
            *("nursery", "attic", "laundry room", "library", "pantry", "sunroom"),
            *("workshop", "music room"),
        ),
        "device": (
            *("toaster", "humidifier", "printer", "floor lamp", "air conditioner"),
            *("game console", "kettle", "projector"),
        ),
        "sensor": (
            *("glass break sensor", "carbon monoxide detector", "pressure mat"),
            *("humidity sensor", "vibration sensor"),
        ),
    },
    reports={
        "enter": (
            "{person} stepped into the {room} ({time}).",
            "It was {time} when {person} went to the {room}.",
        ),
        "turn_on": (
            "{person} started the {device} of the {room} ({time}).",
            "It was {time} when the {device} in the {room} was started by {person}.",
        ),
        "turn_off": (
            "{person} shut down the {device} of the {room} ({time}).",
            "It was {time} when the {device} in the {room} was shut down by {person}.",
        ),
        "trigger": (
            "The {sensor} of the {room} raised an alarm ({time}).",
            "It was {time} when the {sensor} in the {room} reacted.",
        ),
        "arrive": (
            "{person} returned home ({time}).",
            "It was {time} when {person} got back home.",
        ),
        "leave": (
            "{person} departed from home ({time}).",
            "It was {time} when {person} walked out of the house.",
        ),
    },
    questions={
        "rooms_of_person": ("Tell me the rooms that {person} stepped into.",),
        "times_in_room": ("What was the time when {person} went to the {room}?",),
        "people_in_room": ("Tell me who stepped into the {room}.",),
        "first_room": ("What was the first room that {person} stepped into?",),
        "last_room": ("What was the last room that {person} stepped into?",),
        "devices_on": ("Tell me what {person} started.",),
        "devices_off": ("Tell me what {person} shut down.",),
        "users_of_device": ("Tell me who started the {device}.",),
        "times_on": ("What was the time when the {device} was started?",),
        "sensors_in_room": ("Tell me what raised an alarm in the {room}.",),
        "rooms_of_sensor": ("Tell me where the {sensor} raised an alarm.",),
        "arrivals": ("Tell me who returned.",),
        "departures": ("Tell me who departed.",),
    },
)
