"""Histories and counters as one would write them down: a loop over rows."""

from __future__ import annotations

import numpy as np

DAY = 86_400


def end_of_past(row, rows, section, starts):
    """Where the past of a row ends, and whether that is at the row itself."""
    moment = section.moment(row["split"])
    if moment == "row":
        return row["t"], True
    if moment == "day":
        return row["t"] // DAY * DAY, False
    if moment == "split":
        return min(row["t"], starts[row["split"]]), False
    same = [
        other["t"]
        for other in rows
        if other["user"] == row["user"]
        and other[moment] == row[moment]
        and other["split"] == row["split"]
    ]
    return min(same), False


def with_runs(rows, key, same):
    """The rows of each key in order, each with the number of its run."""
    numbered, before, run = [], None, 0
    for row in sorted(rows, key=lambda r: (key(r), r["t"], r["tie"])):
        if before is None or key(before) != key(row) or same(before) != same(row):
            run += 1
        numbered.append((row, run))
        before = row
    return numbered


def first_of_each_run(numbered, allowed):
    """The first allowed row of each run."""
    found = {}
    for row, run in numbered:
        if allowed(row) and run not in found:
            found[run] = row
    return [(row, run) for run, row in found.items()]


def history(rows, section, allowed, lag, starts):
    """The events of each row's past, oldest first, by the row's id."""
    numbered = with_runs(rows, lambda r: r["user"], lambda r: r["item"])
    events = first_of_each_run(numbered, allowed)
    found = {}
    for row, run in numbered:
        end, at_row = end_of_past(row, rows, section, starts)
        past = [
            event
            for event, of_run in events
            if event["user"] == row["user"]
            and event["t"] < end - lag
            and not (at_row and of_run == run)
        ]
        assert row["id"] not in [event["id"] for event in past]
        assert all(event["t"] < row["t"] for event in past)
        found[row["id"]] = past[-section.length :]
    return found


def counts(rows, section, names, lags, window, starts):
    """(exposures, positives, labelled exposures) of each row's past, by its id."""

    def key(row):
        return tuple(str(row[name]) for name in names)

    numbered = with_runs(rows, key, lambda r: (r["user"], r["item"]))
    exposed = first_of_each_run(numbered, lambda r: True)
    clicked = first_of_each_run(numbered, lambda r: r["label"] > 0)
    delay, label_delay = lags
    found = {}
    for row, run in numbered:
        end, at_row = end_of_past(row, rows, section, starts)

        def counted(events, end, row=row, run=run, at_row=at_row):
            return sum(
                key(event) == key(row)
                and event["t"] < end
                and (window is None or event["t"] >= end - window)
                and not (at_row and of_run == run)
                for event, of_run in events
            )

        known = all(row[name] is not None for name in names)
        late = end - delay - label_delay
        found[row["id"]] = (
            (
                counted(exposed, end - delay),
                counted(clicked, late),
                counted(exposed, late),
            )
            if known
            else (0, 0, 0)
        )
    return found


def rate(positives, labelled, section):
    """The smoothed rate in float32."""
    top = positives + section.strength * section.prior
    return np.float32(top / (labelled + section.strength))
