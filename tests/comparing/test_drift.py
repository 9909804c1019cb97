import json

import numpy as np
import pytest

from hgr_tf.comparing.drift import Finding, drift
from hgr_tf.comparing.drift_config import DriftThresholds
from hgr_tf.comparing.snapshot import (
    Snapshot,
    SnapshotError,
    load_snapshot,
    snapshot_of_requests,
)
from hgr_tf.training.yaml_config import ConfigError
from tests.features.test_training_only import ALL, encoding


def category(counts, rows=None, missing=0, unknown=0.0, distinct=None):
    rows = rows or sum(counts.values()) + missing
    return {
        "type": "categorical",
        "rows": rows,
        "missing": missing,
        "missing_share": missing / rows,
        "unknown_share": unknown,
        "distinct": distinct or len(counts),
        "top": [{"value": v, "count": n} for v, n in counts.items()],
    }


def numbers(values):
    deciles = np.quantile(values, np.linspace(0, 1, 11), method="inverted_cdf")
    return {
        "type": "numeric",
        "rows": len(values),
        "missing": 0,
        "missing_share": 0.0,
        "deciles": deciles.tolist(),
    }


def snapshot(rates=None, values=None, **features):
    return Snapshot("x", features, rates or {}, values or {})


def moved(now, before, thresholds=None):
    found = drift(now, before, thresholds or DriftThresholds())
    return {(one.feature, one.measure): one for one in found}


def test_equal_data_moves_by_nothing():
    rng = np.random.default_rng(0)
    same = snapshot(
        rates={"train": 0.2},
        values={"city": {"a": 5, "b": 3}},
        city=category({"a": 5, "b": 3}),
        age=numbers(rng.normal(size=1000)),
        kids=numbers(rng.integers(0, 3, 1000)),
    )
    found = moved(same, same)
    assert len(found) == 12
    assert all(one.value == 0 and not one.drifted for one in found.values())


def test_distances_of_categories_are_those_of_their_shares():
    found = moved(
        snapshot(city=category({"a": 50, "b": 50})),
        snapshot(city=category({"a": 100})),
    )
    p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    middle = (p + q) / 2
    divergence = (np.sum(p * np.log2(p / middle)) + np.log2(q[0] / middle[0])) / 2
    assert found["city", "l_infinity"].value == pytest.approx(0.5)
    assert found["city", "jensen_shannon"].value == pytest.approx(divergence**0.5)
    assert found["city", "jensen_shannon"].drifted


def test_values_that_a_cut_list_may_hold_further_down_are_no_drift():
    before = category({"a": 60, "b": 20}, rows=100, distinct=30)
    now = category({"a": 60, "c": 20}, rows=100, distinct=30)
    assert moved(snapshot(city=now), snapshot(city=before))[
        "city", "l_infinity"
    ].value == pytest.approx(0)


def test_counts_of_a_vocabulary_tell_what_cut_lists_do_not():
    before = category({"a": 60, "b": 20}, rows=100, distinct=30)
    now = category({"a": 60, "c": 20}, rows=100, distinct=30)
    found = moved(
        snapshot(city=now, values={"city": {"a": 60, "c": 20, "b": 5}}),
        snapshot(city=before, values={"city": {"a": 60, "b": 20}}),
    )
    assert found["city", "l_infinity"].value == pytest.approx(0.2)


def test_numbers_that_shift_move_by_the_largest_gap_of_their_shares():
    rng = np.random.default_rng(0)
    values = rng.normal(size=20_000)
    found = moved(snapshot(age=numbers(values + 1)), snapshot(age=numbers(values)))
    # The gap of two normals that lie 1 apart is 0.383.
    assert found["age", "l_infinity"].value == pytest.approx(0.383, abs=0.03)
    assert found["age", "jensen_shannon"].drifted
    other = snapshot(age=numbers(rng.normal(size=20_000)))
    found = moved(other, snapshot(age=numbers(values)))
    assert not found["age", "jensen_shannon"].drifted


def test_a_number_that_is_one_value_and_becomes_another_moves_by_all():
    ones, twos = np.ones(100), np.full(100, 2.0)
    found = moved(snapshot(age=numbers(twos)), snapshot(age=numbers(ones)))
    assert found["age", "l_infinity"].value == 1
    assert found["age", "jensen_shannon"].value == pytest.approx(1)


def test_missing_unknown_and_new_values_and_the_label_rate():
    before = snapshot(
        rates={"train": 0.2, "val": 0.2},
        values={"city": dict.fromkeys("ab", 0)},
        city=category({"a": 90}, missing=10, unknown=0.2),
    )
    now = snapshot(
        rates={"train": 0.1, "val": 0.21},
        values={"city": dict.fromkeys("abcd", 0)},
        city=category({"a": 60}, missing=40, unknown=0.1),
    )
    found = moved(now, before)
    assert found["city", "missing_share"].value == pytest.approx(0.3)
    assert found["city", "missing_share"].drifted
    assert found["city", "unknown_share"].value == 0  # fewer unknown ones are none
    assert found["city", "new_values"].value == 0.5
    assert found["(label) of train", "label_rate"].value == pytest.approx(0.5)
    assert not found["(label) of val", "label_rate"].drifted
    text = str(found["city", "missing_share"])
    assert text == "city: missing_share 0.3, limit 0.05 (was 0.1, is 0.4)"


def test_features_that_come_go_or_change_their_type_are_drift():
    before = snapshot(a=category({"x": 1}), b=category({"x": 1}))
    now = snapshot(b=numbers(np.ones(3)), c=category({"x": 1}))
    found = moved(now, before)
    assert set(found) == {("a", "feature"), ("b", "type"), ("c", "feature")}
    assert all(one.drifted for one in found.values())
    assert str(found["a", "feature"]) == "a: feature was there, is absent"


def test_thresholds_of_a_feature_change_what_they_name():
    limits = DriftThresholds.from_yaml(
        "defaults: {missing_share: 0.5, l_infinity: 0.1}\n"
        "features: {city: {l_infinity: null}}\nlabel_rate: null"
    )
    assert limits.of("city").missing_share == 0.5
    assert limits.of("city").l_infinity is None and limits.of("age").l_infinity == 0.1
    with pytest.raises(ValueError, match="got 'city'; did you mean 'cities'"):
        drift(snapshot(cities=category({"a": 1})), snapshot(), limits)
    with pytest.raises(ConfigError, match="less than or equal to 1, got 2"):
        DriftThresholds.from_yaml("defaults: {missing_share: 2}")


def test_vocabularies_beside_the_statistics_are_the_values(tmp_path):
    told = {"features": {"city": category({"a": 2})}, "splits": {}}
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(told))
    assert load_snapshot(path).values == {}
    (tmp_path / "vocabularies").mkdir()
    (tmp_path / "vocabularies" / "city.txt").write_text("a\nb\n")
    assert load_snapshot(path).values == {"city": {"a": 0, "b": 0}}
    (tmp_path / "vocabularies" / "city.counts.txt").write_text("7\n2\n")
    assert load_snapshot(path).values == {"city": {"a": 7, "b": 2}}
    for text in ("[]", "{", '{"features": 1}'):
        path.write_text(text)
        with pytest.raises(SnapshotError, match=r"must be a statistics\.json"):
            load_snapshot(path)
    with pytest.raises(SnapshotError, match="cannot be read: No such file"):
        load_snapshot(tmp_path / "none.json")


def test_a_label_rate_that_was_zero_and_splits_that_come_or_go_are_drift():
    before = snapshot(rates={"train": 0.0, "val": 0.2, "old": 0.1})
    now = snapshot(rates={"train": 0.3, "val": None, "new": 0.1})
    found = moved(now, before)
    assert found["(label) of train", "label_rate"].drifted
    for split in ("val", "old", "new"):
        assert found[f"(label) of {split}", "split"].drifted
    assert str(found["(label) of val", "split"]) == (
        "(label) of val: split was there, is without rows"
    )
    assert not moved(snapshot(), before)  # requests have no labels


def test_an_only_label_is_compared_with_the_first_of_several():
    one = snapshot(rates={"train": 0.2, "val": 0.2})
    several = snapshot(
        rates={"train/click": 0.2, "train/buy": 0.1, "val/click": 0.3, "val/buy": None}
    )
    for now, before in ((several, one), (one, several)):
        found = moved(now, before)
        assert [key for key in found if key[1] == "label_rate"] == [
            ("(label) of train/click", "label_rate"),
            ("(label) of val/click", "label_rate"),
        ]
    assert str(moved(several, one)["(label) of train/buy", "label"]) == (
        "(label) of train/buy: label was absent, is there"
    )


def test_a_label_that_is_nowhere_defined_is_not_a_split_without_rows():
    before = snapshot(rates={"val/click": 0.2, "val/buy": 0.1})
    now = snapshot(rates={"val/click": 0.0, "val/buy": None})
    assert str(moved(now, before)["(label) of val/buy", "label"]) == (
        "(label) of val/buy: label was there, is without rows where it is defined"
    )


def test_a_measure_without_a_limit_can_be_told():
    assert str(Finding("age", "new_values", 0.5, None)) == (
        "age: new_values 0.5, no limit"
    )


def test_requests_need_not_hold_what_only_training_knows(tmp_path):
    encoding(ALL).save(tmp_path)
    told = {name: category({"a": 1}) for name in ("item", "position")}
    text = json.dumps({"features": told, "splits": {}})
    (tmp_path / "statistics.json").write_text(text)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"user": 5, "item": "a", "tags": "x"}\n')
    requests, trained = snapshot_of_requests(rows, tmp_path)
    assert set(requests.features) == {"user", "item", "tags"}
    assert set(trained.features) == {"item"}
