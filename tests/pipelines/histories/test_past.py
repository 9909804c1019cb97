import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipelines.histories import reference
from tests.pipelines.histories.logs import logs, make_spec, past_of, starts_of

MOMENTS = st.sampled_from([None, "row", "day", "split", "request"])
DELAYS = st.sampled_from([0, 1, 5_000, "1h"])
SECONDS = {"1h": 3_600}


def seconds(delay):
    return SECONDS.get(delay, delay)


def allowed_rows(label):
    return lambda row: label is None or row["label"] == label


@settings(max_examples=60, deadline=None)
@given(
    rows=logs(),
    moment=MOMENTS,
    delay=DELAYS,
    label_delay=DELAYS,
    label=st.sampled_from([None, 0, 1]),
    length=st.integers(1, 4),
    newest_first=st.booleans(),
)
def test_histories_are_those_of_a_loop_over_rows(
    rows, moment, delay, label_delay, label, length, newest_first
):
    section = {"of": "item", "with": ["author"], "length": length, "delay": delay}
    section |= {"newest_first": newest_first, "label_delay": label_delay}
    section |= {"as_of": moment} if moment else {}
    section |= {} if label is None else {"where": {"label": label}}
    spec = make_spec(history={"seen": section})
    columns = past_of(rows, spec)
    lag = seconds(delay) + (0 if label is None else seconds(label_delay))
    expected = reference.history(
        rows, spec.history["seen"], allowed_rows(label), lag, starts_of(rows)
    )
    for row, items, authors in zip(
        rows,
        columns["past/string:seen_item"],
        columns["past/string:seen_author"],
        strict=True,
    ):
        events = expected[row["id"]]
        if newest_first:
            events = events[::-1]
        assert items == [event["item"] for event in events]
        assert authors == [event["author"] for event in events]


@pytest.mark.parametrize("by", [["user"], ["user", "author"], ["author"], ["item"]])
@settings(max_examples=40, deadline=None)
@given(
    rows=logs(),
    moment=st.sampled_from([None, "row", "day", "split"]),
    delay=DELAYS,
    label_delay=DELAYS,
    window=st.sampled_from(["all", 1, 8_000, "1d"]),
)
def test_counters_are_those_of_a_loop_over_rows(
    by, rows, moment, delay, label_delay, window
):
    section = {"by": by, "delay": delay, "label_delay": label_delay, "prior": 0.3}
    section |= {"statistics": ["exposures", "positives", "rate"], "windows": [window]}
    section |= {"as_of": moment} if moment else {}
    spec = make_spec(counters={"n": section})
    columns = past_of(rows, spec, None if "user" in by else "n")
    counter = spec.counters["n"]
    span = {"all": None, "1d": 86_400}.get(window, window)
    lags = (seconds(delay), seconds(label_delay))
    expected = reference.counts(rows, counter, by, lags, span, starts_of(rows))
    for place, row in enumerate(rows):
        exposures, positives, labelled = expected[row["id"]]
        name = f"past/float32:n_{window}_"
        assert columns[f"{name}exposures"][place] == exposures
        assert columns[f"{name}positives"][place] == positives
        rate = reference.rate(positives, labelled, counter)
        assert columns[f"{name}rate"][place] == rate


@settings(max_examples=20, deadline=None)
@given(rows=logs())
def test_one_label_of_several_is_counted_and_allowed_as_an_only_one_is(rows):
    sections = {
        "counters": {"n": {"by": "user", "statistics": ["positives", "rate"]}},
        "history": {"seen": {"of": "item", "length": 50, "where": {"label": 1}}},
    }
    one = past_of(rows, make_spec(**sections))
    sections["counters"]["n"]["of"] = "second"
    sections["history"]["seen"]["where"] = {"second": 1}
    first = {"column": "t", "max": 1e9}
    several = make_spec(
        label=None, labels={"first": first, "second": "label"}, **sections
    )
    other = past_of(rows, several)
    lists = "past/string:seen_item"
    # Rows of one moment are put in order by all their labels.
    assert list(map(sorted, one.pop(lists))) == list(map(sorted, other.pop(lists)))
    assert one == other


@pytest.mark.parametrize(("label_delay", "seen"), [(0, 2), (8, 0)])
def test_only_rows_where_a_label_is_defined_are_counted_and_listed(label_delay, seen):
    row = {"user": "u", "author": "x", "request": "p", "split": "train"}
    rows = [
        {**row, "item": item, "label": float(label), "t": t, "id": t}
        for item, label, t in [("a", 0, 0), ("b", 1, 1), ("c", 2, 2), ("d", 0, 9)]
    ]
    click, buy = ({"column": "label", "max": 2, "positive_at_least": n} for n in (1, 2))
    counter = {"by": "user", "of": "buy", "label_delay": label_delay}
    spec = make_spec(
        label=None,
        labels={"click": click, "buy": {**buy, "given": "click"}},
        counters={"n": {**counter, "statistics": ["exposures", "positives", "rate"]}},
        history={"left": {"of": "item", "where": {"buy": 0}}},
    )
    columns = past_of(rows, spec)
    bought = seen // 2
    assert columns["past/float32:n_all_exposures"][-1] == seen
    assert columns["past/float32:n_all_positives"][-1] == bought
    expected = reference.rate(bought, seen, spec.counters["n"])
    assert columns["past/float32:n_all_rate"][-1] == expected
    assert columns["past/string:left_item"][-1] == ["b"]


@settings(max_examples=25, deadline=None)
@given(rows=logs(), seed=st.integers(0, 99))
def test_the_order_of_the_rows_in_their_files_does_not_matter(rows, seed):
    section = {"of": "item", "with": ["author"], "where": {"label": 1}, "length": 3}
    counter = {"by": ["user", "author"]}
    spec = make_spec(history={"seen": section}, counters={"n": counter})
    shuffled = random.Random(seed).sample(rows, len(rows))
    one, other = past_of(rows, spec), past_of(shuffled, spec)
    places = {row["id"]: place for place, row in enumerate(shuffled)}
    for name, values in one.items():
        assert values == [other[name][places[row["id"]]] for row in rows]


def test_equal_rows_of_one_moment_and_of_a_run_do_not_see_each_other():
    row = {"user": "u", "author": "x", "request": "p", "split": "train"}
    times = [(1, "a", 1.0), (2, "b", 1.0), (2, "b", 1.0), (3, "b", 1.0), (4, "c", 0.0)]
    rows = [
        {**row, "t": t, "item": item, "label": label, "id": i}
        for i, (t, item, label) in enumerate(times)
    ]
    spec = make_spec(history={"seen": {"of": "item"}})
    lists = past_of(rows, spec)["past/string:seen_item"]
    assert lists == [[], ["a"], ["a"], ["a"], ["b", "a"]]


def test_times_at_the_ends_of_64_bits_and_delays_do_not_overflow():
    row = {"user": "u", "author": "x", "request": "p", "split": "train", "label": 1.0}
    times = [-(2**63), 0, 2**63 - 1]
    rows = [
        {**row, "t": t, "item": item, "id": t}
        for t, item in zip(times, "abc", strict=True)
    ]
    spec = make_spec(time_unit=None, history={"seen": {"of": "item", "delay": 2**62}})
    lists = past_of(rows, spec)["past/string:seen_item"]
    assert lists == [[], ["a"], ["b", "a"]]
