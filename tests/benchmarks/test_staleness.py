"""Ages are added to the delays, and the figures are told beside the fresh ones."""

import numpy as np

from benchmarks.staleness import aged, summary
from hgr_tf.features import FeatureSpec

SPEC = """
name: tiny
user_id: user
item_id: item
label: click
time: t
time_unit: ms
split: {by: time, starts: {val: 5}}
user: {user: {type: categorical}}
item: {item: {type: categorical}}
history: {seen: {of: item, delay: 5}}
counters: {rate: {by: user, delay: 1m, label_delay: 2}}
"""


def test_an_age_is_added_to_each_delay():
    spec = aged(FeatureSpec.from_yaml(SPEC), "1h", "day")
    assert spec.history["seen"].delay == 3_600_005
    assert spec.counters["rate"].delay == 3_660_000
    assert spec.counters["rate"].label_delay == 2
    assert spec.history["seen"].moment("train") == "row"
    assert spec.history["seen"].moment("val") == "day"


def test_figures_are_told_beside_the_fresh_ones():
    def run(shift):
        fresh = np.array([0.5, 0.7, 0.6]) + shift
        older = fresh + np.array([0.01, -0.02, 0.0])
        return {
            "stale": {"0s": fresh, "1d": older},
            "delayed": {"0s": fresh, "1d": fresh},
        }

    told = summary([run(0.0), run(0.1)])
    assert told["fresh"] == {"log_loss": 0.55, "auc": 0.75, "gauc": 0.65}
    assert told["stale"]["1d"]["log_loss"] == 0.01
    assert told["stale"]["1d"]["std"]["auc"] == 0
    assert told["delayed"]["1d"]["auc"] == 0
