"""The example's store knows of every row what the pipeline computes for it."""

import runpy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.features import TIME, FeatureEncoding, FeatureSpec
from hgr_tf.pipelines.run import prepare

EXAMPLE = Path(__file__).parents[2] / "examples" / "feature_store.py"
HISTORIES = """
  late: {of: item, with: [topic], where: {label: 1}, length: 3, as_of: request,
         delay: 2h, label_delay: 30m}
  seen: {of: topic, length: 5, newest_first: false, as_of: day}
  seen_0: {of: item, where: {topic: topic0}, length: 2, as_of: request}
"""
COUNTERS = """
  windows: {by: user, windows: [all, 1d, 3h], statistics: [exposures, positives, rate],
            prior: 0.3, strength: 4, as_of: request, delay: 1h, label_delay: 1h}
  pair: {by: [user, topic], windows: [2d], as_of: request, label_delay: 10m}
  of_item: {by: item, windows: [all, 1d], as_of: day, delay: 6h, label_delay: 2h}
"""


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


def crowded(log):
    """Few users and items, so that windows fill and items come twice in a row."""
    found = []
    for row in log:
        item = row["item"] % 4
        of_item = {"item": item, "topic": f"topic{item % 2}"}
        found.append({**row, **of_item, "user": row["user"] % 5})
    return found


def as_tensor(values):
    return tf.constant(values.tolist() if values.dtype == object else values)


def by_request(log):
    found = {}
    for row in log:
        found.setdefault(row["request"], []).append(row)
    return found.values()


def test_histories_and_counters_equal_the_pipelines(example, tmp_path):
    log, text = crowded(example["generate"](120)), example["SPEC"]
    for section, more in (("history:", HISTORIES), ("counters:", COUNTERS)):
        text = text.replace(section, f"{section}{more}".rstrip())
    spec = FeatureSpec.from_yaml(text)
    pq.write_table(pa.Table.from_pylist(log), tmp_path / "log.parquet")
    prepare(spec, [str(tmp_path / "log.parquet")], tmp_path / "prepared")
    parts = [
        pq.read_table(p) for p in sorted((tmp_path / "prepared").glob("*.parquet"))
    ]
    prepared = pa.concat_tables(parts).sort_by(TIME).to_pydict()
    encoding = FeatureEncoding.load(tmp_path / "prepared")

    store = example["FeatureStore"](tmp_path / "store.sqlite", spec)
    rows = []
    for shown in by_request(log):
        now = shown[0]["time"]
        request = {"user": shown[0]["user"]}
        of_user = store.features(request, now, of_item=False)
        for row in shown:
            of_item = store.features(row, now, of_item=True)
            rows.append({**row, **of_user, **of_item})
        for row in shown:
            store.add(row)
    raw = {
        f.name: as_tensor(f.transform.to_raw(pa.array([r[f.name] for r in rows]), ()))
        for f in spec.features()
    }
    encoded = RawFeatures(encoding, tmp_path / "prepared" / "vocabularies")(raw)
    assert len(prepared[TIME]) == len(log)
    for feature in (f for f in spec.features() if f.is_past):
        expected, found = prepared[feature.name], encoded[feature.name]
        if size := feature.transform.forms[0].size:
            expected = [ids + [0] * (size - len(ids)) for ids in expected]
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=feature.name)
        assert len(np.unique(found)) > 2, feature.name


def test_old_events_go(example):
    spec = FeatureSpec.from_yaml(example["SPEC"])
    store = example["FeatureStore"](":memory:", spec)
    for time in range(0, 20 * 3600, 180):  # every 3 minutes, another item each time
        item = {"item": time // 180 % 7, "topic": "topic1"}
        store.add({"user": 1, "time": time, "liked": 1, **item})
    kept = dict(
        store._db.execute("SELECT stream, count(*) FROM events GROUP BY stream")
    )
    assert kept["history.liked_last"] == 8 + 1
    assert kept["counters.user_topic/exposures"] == 6 * 20 + 2
    found = store.features({"user": 1}, 20 * 3600, of_item=False)
    assert found["user_rate_all_exposures"] == 20 * 20
    assert len(found["liked_last_item"]) == 8


@pytest.mark.slow
def test_likes_change_what_is_ranked_first(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ranked = example["main"]()
    liked = ranked["before"][-1]
    assert liked not in ranked["before"][:3]
    assert ranked["after"][:3].count(liked) >= 2
