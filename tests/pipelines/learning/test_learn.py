"""Vocabularies, boundaries and moments of what was seen."""

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from hgr_tf.features import Categorical, Feature, Learned, Numeric
from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.pipelines.learning.learn import learn
from hgr_tf.pipelines.learning.observation import summarize
from tests.prepared import ENCODING

WORDS = pa.array(["b", "a", "c", "c", "c", "b", "a", "rare", "two\nlines", None])


def summary_of(values, transform):
    feature = Feature(
        name="x", owner="context", column="x", from_table=False, transform=transform
    )
    return summarize(feature, values)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, ("c", "a", "b", "rare")),
        ({"min_count": 2}, ("c", "a", "b")),
        ({"max_size": 2}, ("c", "a")),
    ],
)
def test_vocabulary_falls_in_frequency_within_its_limits(limits, expected):
    transform = Categorical(**limits)
    learned = transform.learn(summary_of(WORDS, transform), Learned())
    assert learned.vocabulary == expected


def test_known_values_keep_their_place_and_count_towards_the_size():
    transform = Categorical(max_size=3)
    summary = summary_of(WORDS, transform)
    learned = transform.learn(summary, Learned(vocabulary=("old", "b")))
    assert learned.vocabulary == ("old", "b", "c")


def test_an_encoding_that_is_taken_over_counts_anew_how_long_values_were_unseen():
    before = replace(ENCODING, unseen={"tags": (3, 0, 1, 0, 2)})
    found = learn(ENCODING.spec, {}, before)
    assert found == before and found.unseen == {"tags": (0,) * 5}


def test_quantiles_and_moments_equal_those_of_numpy():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    parts = [summary_of(pa.array(v), Numeric()) for v in np.split(values, 4)]
    summary = sum(parts, ColumnSummary())
    expected = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf")
    assert summary.quantiles(4) == tuple(expected.tolist())
    wide = values.astype(np.float64)
    assert summary.mean_and_deviation() == pytest.approx((wide.mean(), wide.std()))


def test_what_is_handed_on_grows_with_the_distinct_values_alone():
    def size(count):
        column = pa.array(np.arange(count))
        summary = ColumnSummary.of(column, np.ones(count, np.int64))
        summary = summary.with_counts(column, np.ones(count, np.int64))
        return len(pickle.dumps(summary + summary))

    assert size(400_000) < 4.1 * size(100_000)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "b", "a", ""]),
        pa.array([0.0, -0.0, float("nan"), None, 1.5], pa.float32()),
        pa.array([["x", "y"], [], None, ["x"], ["x", "z", "y"]]),
        pa.array([], pa.int64()),
    ],
    ids=["texts", "floats", "lists", "none"],
)
def test_rows_that_count_once_are_counted_as_weighted_ones_are(column):
    once = np.ones(len(column), np.int64)
    counts, doubled = (
        {
            repr(row["value"]): row["count"]
            for row in ColumnSummary.of(column, hits)
            .with_counts(column, hits)
            .counts.to_pylist()
        }
        for hits in (once, 2 * once)
    )
    assert doubled == {value: 2 * count for value, count in counts.items()}
