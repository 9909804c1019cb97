"""Benchmarks follow the library: what they call still works, at their smallest."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import (
    comparisons,
    free_gains,
    heads,
    kuairand,
    naive_pipeline,
    scale,
    scale_values,
    staleness,
    train_step,
)
from benchmarks.paired import paired_difference
from hgr_tf.features import FeatureSpec
from tests.prepared import rows, write_prepared

SPEC = Path(__file__).parents[1] / "examples" / "kuairand_pure" / "spec.yaml"


OTHERS = [name for name in train_step.METHODS if name != "default"]


@pytest.mark.parametrize(
    "name", ["default", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)]
)
def test_every_method_of_the_step_trains(name):
    method = train_step.METHODS[name]
    encoding = train_step.make_encoding()
    batch = train_step.make_batch(encoding, 8)
    assert train_step.train_function(method, encoding, 4, batch)() > 0


def test_the_naive_pipeline_encodes_every_feature_of_its_spec():
    features = tuple(FeatureSpec.load(SPEC).features())
    rows = [
        {"__label__": 1.0, "__user__": 1, "__item__": 2}
        | {f.name: _value(f.transform, number) for f in features}
        for number in (1, 2, 3)
    ]
    learn = naive_pipeline.Learn(features)
    counts = learn.create_accumulator()
    for row in rows:
        counts = learn.add_input(counts, row)
    learned = learn.extract_output(counts)
    assert len({naive_pipeline.encode(row, features, learned) for row in rows}) == 3


@pytest.mark.parametrize(
    ("values", "exponent"),
    [
        ([5 + 2 * n for n in (1, 3, 9)], 1.0),
        ([5 + n**2 for n in (1, 3, 9)], 2.0),
        ([5, 5, 5], None),
        ([100, 100.1, 100.4], None),  # noise
    ],
)
def test_growth_leaves_what_does_not_grow_out(values, exponent):
    assert scale.growth([1, 3, 9], values)["exponent"] == exponent


@pytest.mark.slow
def test_scale_counts_what_is_grouped_and_held(tmp_path):
    whole, held = (
        scale._in_process("random split", 2_000, mode, 0, str(tmp_path))
        for mode in scale.MODES
    )
    assert whole["elements_to_GroupHashes"] == 16  # one batch, 16 partitions
    assert whole["bytes_to_GroupHashes"] > 0
    assert whole["bytes_of_hashes"] > 0 and whole["cpu_seconds"] > 0
    assert held["peak_bytes_in_one_place"] > 0


def test_scale_measures_a_vocabulary_where_it_is_learned_and_used(tmp_path):
    for dtype in ("int64", "string"):
        found = scale_values.plan(dtype, 1_000, tmp_path, 0)
        assert found["bytes_handed_on"] > 8_000
        assert "worker_peak_bytes" in scale_values.encode(dtype, 1_000, tmp_path, 0)


def _value(transform, number):
    if transform.is_multivalued:
        return [number]
    return str(number) if transform.dtype == "string" else number


DELAYED = """
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
    spec = staleness.aged(FeatureSpec.from_yaml(DELAYED), "1h", "day")
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

    told = staleness.summary([run(0.0), run(0.1)])
    assert told["fresh"] == {"log_loss": 0.55, "auc": 0.75, "gauc": 0.65}
    assert told["stale"]["1d"]["log_loss"] == 0.01
    assert told["stale"]["1d"]["std"]["auc"] == 0
    assert told["delayed"]["1d"]["auc"] == 0


def test_the_expected_auc_is_that_of_many_draws():
    rng = np.random.default_rng(0)
    p = rng.random(400) ** 2
    scores = p + rng.normal(0, 0.2, 400)
    drawn = [_auc(rng.random(400) < p, scores) for _ in range(400)]
    assert heads.expected_auc(p, scores) == pytest.approx(np.mean(drawn), abs=0.005)


def _auc(positive, scores):
    pairs = scores[positive][:, None] > scores[~positive]
    return pairs.mean()


def test_differences_are_paired_by_seed():
    told = paired_difference([0.5, 0.7, 0.9], [0.4, 0.5, 0.6])
    assert told["by_seed"] == pytest.approx([0.1, 0.2, 0.3])
    assert told["mean"] == pytest.approx(0.2)
    # t of 2 degrees of freedom is 4.3027, the standard error 0.1 / sqrt(3).
    assert told["interval"] == pytest.approx([0.2 - 0.24841, 0.2 + 0.24841], abs=1e-4)
    assert paired_difference([0.5], [0.4])["interval"] is None


def test_free_gains_are_differences_to_the_plain_run():
    def run(shift):
        figures = dict.fromkeys(free_gains.FIGURES, 0.5 + shift)
        found = {name: dict(figures) for name in free_gains.METHODS}
        found["weight_ema"]["gauc"] += 0.01
        found["shrinkage"] |= {"log_loss": 0.4 + 2 * shift, "tau": 5.0}
        return found

    told = free_gains.summary([run(0.0), run(0.1), run(0.2)])
    gained = told["weight_ema"]["minus_plain"]["gauc"]
    assert gained["mean"] == pytest.approx(0.01)
    assert gained["standard_error"] == pytest.approx(0, abs=1e-9)
    assert told["weight_ema"]["minus_constant"] == told["weight_ema"]["minus_plain"]
    lost = told["shrinkage"]["minus_plain"]["log_loss"]
    assert lost["mean"] == pytest.approx(0)
    assert lost["standard_error"] == pytest.approx(0.1 / 3**0.5)
    assert told["shrinkage"]["tau"] == [5.0] * 3


def test_free_gains_without_its_data_say_why(tmp_path, capsys):
    free_gains.main(data=tmp_path / "nowhere")
    assert "nowhere: give --data" in json.loads(capsys.readouterr().out)["skipped"]


@pytest.mark.slow
def test_free_gains_are_measured_at_their_smallest(tmp_path):
    data = write_prepared(
        tmp_path / "data", {"train": rows(600, 0), "val": rows(400, 1)}
    )
    options = {"batch_size": 100, "checkpoints": {"every_steps": 2}}
    found = free_gains.run_seed(data, tmp_path, 0, options)
    assert set(found) == set(free_gains.METHODS)
    assert found["shrinkage"]["tau"] in map(float, found["shrinkage"]["tried"])
    assert found["average_checkpoints"] != found["constant"] != found["plain"]


@pytest.mark.slow
def test_purchases_are_compared_at_their_smallest(tmp_path):
    found = heads.run_seed(tmp_path, rows=20_000, rate=0.2, seed=0)
    told = heads.summary([found])
    methods = {"clicks_alone", "separate", "esmm_groups", *heads.RUNS} - {"clicks"}
    assert set(told["auc"]["mean"]) == methods
    assert all(0 < auc < 1 for auc in told["expected_auc"]["mean"].values())
    assert set(told["ece of esmm"]) == {"click", "purchase"}


def test_a_case_of_a_comparison_is_found_once(tmp_path, capsys):
    asked = []

    def find(seeds):
        asked.append(seeds)
        return {"seeds": seeds}

    for seeds in (2, 2, 3):
        comparisons.tell_once(tmp_path, "planted", find, seeds)
    assert asked == [2, 3]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["seeds"] for line in told] == [2, 2, 3]


def test_findings_of_a_comparison_hold_the_control():
    after = {"platt": {"after": {"log_loss": 0.5}}}
    told = {"mean": 0.1, "low": 0.0, "high": 0.2}
    groups = {
        "verdict": {"word": "pays"},
        "difference": {"gauc": told, "log_loss": told},
        "control": told,
    }
    methods = {
        "plain": {**after, "figures": {"gauc": {"mean": 0.6}}},
        "groups": {**after, **groups},
    }
    found = comparisons.findings({"baseline": "plain", "methods": methods})
    assert found["baseline"] == {"gauc": 0.6, "platt_log_loss": 0.5}
    assert found["groups"]["verdict"] == "pays"
    assert found["groups"]["gauc_over_control"] == [0.1, 0.0, 0.2]


def test_positives_are_dropped_until_few_are_left():
    labels = (np.arange(40_000) % 3 == 0).astype(np.int64)
    log = pa.table({"user_id": np.arange(40_000), "long_view": labels})
    kept = kuairand.with_rare_positives(log)["long_view"].to_numpy()
    assert kept.mean() == pytest.approx(kuairand.RARE, rel=0.1)
    assert (kept == 0).sum() == (labels == 0).sum()
