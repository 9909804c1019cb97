"""Counts what Beam groups by a key, in this process: `benchmarks.scale` asks for it."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from typing import Any

import apache_beam as beam

ELEMENTS: Counter[str] = Counter()
"""Elements by the step that groups them."""

BYTES: Counter[str] = Counter()
"""Their bytes, pickled, with the key."""


_NUMBERS = itertools.count()


def install() -> None:
    """Counts the elements of every grouping that is built from now on."""
    apply = beam.Pipeline.apply
    seen: dict[int, beam.GroupByKey] = {}

    def counting(
        pipeline: beam.Pipeline, transform: Any, given: Any = None, label: Any = None
    ) -> Any:
        # A transform with a label comes twice: the second time with its label set.
        if isinstance(transform, beam.GroupByKey) and id(transform) not in seen:
            seen[id(transform)] = transform
            scope = pipeline._current_transform().full_label
            name = (scope or label or transform.label).split("/")[0]
            count = beam.Map(_counted, name.partition(".")[0])
            given = apply(pipeline, count, given, f"Count{next(_NUMBERS)}")
        return apply(pipeline, transform, given, label)

    beam.Pipeline.apply = counting


def _counted(element: Any, name: str) -> Any:
    ELEMENTS[name] += 1
    BYTES[name] += len(pickle.dumps(element))
    return element
