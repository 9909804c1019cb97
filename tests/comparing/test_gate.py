import json
from types import SimpleNamespace

import numpy as np
import pytest

from hgr_tf.comparing.gate import (
    Candidate,
    _metric_lines,
    _model_lines,
    _served_slices,
    check_heads,
    parse_slices,
)
from hgr_tf.comparing.gate_config import GateConfig, Limits
from hgr_tf.comparing.gate_report import FILE, GateError, GateReport, Line, judge
from hgr_tf.comparing.intervals import Estimate
from hgr_tf.comparing.served_requests import changed_top_k, megabytes
from hgr_tf.comparing.slices import Slice
from hgr_tf.training.yaml_config import ConfigError
from tests.prepared import ENCODING

GATE = """
split: val
metrics:
  gauc: {at_least: 0.6, drop_at_most: 0.01}
  pcoc: {at_least: 0.9, at_most: 1.1}
slices: [device]
slice_metrics: {gauc: {drop_at_most: 0.02}}
slice_rows: 100
"""


def part(value, rows=500, **metrics):
    values = {name: Estimate(v, v, v) for name, v in metrics.items()}
    return Slice(value, rows, 20, values)


def lines(found, beside=None):
    skipped = []
    config = GateConfig.from_yaml(GATE)
    return list(_metric_lines(config, found, beside, skipped)), skipped


def test_every_limit_is_a_line_and_comparisons_need_a_served_version():
    found = {
        "all": [part("all", gauc=0.7, pcoc=1.2)],
        "device": [part("id 1", gauc=0.5)],
    }
    alone, _ = lines(found)
    assert [(line.what, line.passed) for line in alone] == [
        ("gauc", True),
        ("pcoc", True),
        ("pcoc", False),
    ]
    beside = {
        "all": [part("all", gauc=0.705, pcoc=1)],
        "device": [part("id 1", gauc=0.53)],
    }
    both, skipped = lines(found, beside)
    assert not skipped
    assert [line.passed for line in both] == [True, True, True, False, False]
    assert str(both[-1]) == (
        "gauc of device id 1 must be at most 0.02 below the served version's 0.53, "
        "got 0.5"
    )


def test_small_undefined_and_new_slices_are_told_and_not_judged():
    found = {
        "all": [part("all", gauc=0.7, pcoc=1)],
        "device": [
            part("id 1", gauc=0.1, rows=99),
            part("id 2", gauc=np.nan),
            part("id 3", gauc=0.1),
        ],
    }
    judged, skipped = lines(found, {"all": [part("all", gauc=0.7, pcoc=1)]})
    assert all(line.passed for line in judged)
    assert skipped == [
        "device id 1: 99 rows",
        "gauc of device id 2: undefined",
        "gauc of device id 3: no such slice of the served version",
    ]


def test_metrics_are_those_of_the_head_that_is_named():
    config = GateConfig.from_yaml("""
split: val
metrics: {purchase/auc: {at_least: 0.6, drop_at_most: 0.01}}
slices: [device]
slice_metrics: {click/gauc: {at_least: 0.6}}
""")
    found = {
        "click/all": [part("all", auc=0.9)],
        "click/device": [part("id 1", rows=5_000, gauc=0.5)],
        "purchase/all": [part("all", auc=0.7)],
        "purchase/device": [part("id 1", rows=5_000, gauc=0.9)],
    }
    skipped = []
    judged = list(_metric_lines(config, found, {"all": [part("all")]}, skipped))
    assert [(line.what, line.passed) for line in judged] == [
        ("purchase/auc", True),
        ("click/gauc of device id 1", False),
    ]
    assert skipped == ["purchase/auc: no such head of the served version"]
    check_heads(config, ("click", "purchase"))
    with pytest.raises(ValueError, match=r"heads, \['auc'\], got 'purchase/auc'"):
        check_heads(config, ("",))


@pytest.mark.parametrize(
    "limits",
    [
        "metrics: {purchase/log_loss: {rise_at_most: 0.01}}",
        "metrics: {click/auc: {at_least: 0.5}}\n"
        "slices: [device]\n"
        "slice_metrics: {purchase/log_loss: {rise_at_most: 0.01}}",
    ],
)
def test_a_head_is_not_compared_with_one_of_other_rows(limits, monkeypatch, tmp_path):
    mmoe, esmm = (
        SimpleNamespace(
            model=SimpleNamespace(heads=("click", "purchase"), given=given),
            weights_digest=str,
        )
        for given in ({"purchase": "click"}, None)
    )
    monkeypatch.setattr("hgr_tf.training.load_run", lambda _, **options: mmoe)
    config = GateConfig.from_yaml(f"{limits}\nsplit: val\nserved: {{run: {tmp_path}}}")
    with pytest.raises(
        GateError, match=r"'purchase' .* rows where 'click' is positive"
    ):
        _served_slices(config, Candidate(esmm, None), None, tmp_path, 0)


def test_nothing_passes_unjudged_where_the_served_metric_is_undefined():
    found = {"all": [part("all", gauc=0.7, pcoc=1)], "device": []}
    beside = {"all": [part("all", gauc=np.nan, pcoc=1)], "device": []}
    judged, skipped = lines(found, beside)
    assert "gauc: undefined for the served version" in skipped
    report = GateReport("val", "r", "0", True, 9, 1, [], skipped, {})
    assert not report.passed
    with pytest.raises(GateError, match="nothing could be judged: gauc: undefined"):
        report.raise_if_refused("gate.yaml")
    assert report._replace(lines=judged).passed


def test_an_undefined_metric_of_the_whole_split_holds_no_limit():
    (line,) = judge("gauc", Limits(at_least=0.1), float("nan"), None)
    assert not line.passed and str(line).endswith("got undefined")


def test_the_report_names_every_failed_line_and_is_kept(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    failed = Line("auc", 0.5, "at least 0.6", passed=False)
    report = GateReport(
        "val",
        "runs/a",
        "00",
        True,
        9,
        None,
        [failed, failed._replace(passed=True)],
        [],
        {},
    )
    report.save(tmp_path)
    told = json.loads((tmp_path / FILE).read_text())
    assert told["passed"] is False and told["lines"][0]["what"] == "auc"
    with pytest.raises(
        GateError, match=r"gate\.yaml: auc must be at least 0\.6, got 0"
    ):
        report.raise_if_refused("gate.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split: val", "metrics: Field required"),
        ("{split: val, metrics: {}}", "must name at least one of gauc, auc"),
        ("{split: val, metrics: {gacu: {at_least: 1}}}", "metrics: must be among gauc"),
        ("{split: val, metrics: {gauc: {}}}", "metrics.gauc: must name a limit"),
        (
            "{split: val, metrics: {gauc: {at_leats: 1}}}",
            "metrics.gauc.at_leats: unknown field",
        ),
        (
            "{split: val, metrics: {pcoc: {at_least: 2, at_most: 1}}}",
            "at_least must be below at_most, got 2.0 and 1.0",
        ),
        (
            "{split: val, metrics: {auc: {at_least: 0}}, slices: [device]}",
            "`slices` and `slice_metrics` must be given together",
        ),
        (
            "{split: val, metrics: {auc: {at_least: 0}}, latency: {rows: 3}}",
            "latency: must name a limit",
        ),
    ],
)
def test_a_gate_that_says_nothing_or_too_much_is_one_line(text, message):
    with pytest.raises(ConfigError) as error:
        GateConfig.from_yaml(text, "gate.yaml")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_slice_that_is_no_column_is_refused():
    config = GateConfig.from_yaml(GATE.replace("[device]", "[nation]"))
    with pytest.raises(ValueError, match=r"`slices` must name a feature.*got 'nation'"):
        parse_slices(config, ENCODING)


class Session:
    """Ranks items by their price, times a sign for each version."""

    def __init__(self, folder):
        self.sign = float(str(folder))
        self.signatures = {
            "rank": SimpleNamespace(inputs={"user", "item", "price"}),
            "serving_default": SimpleNamespace(inputs={"price"}),
        }

    def call(self, signature, inputs):
        return {"probabilities": self.sign * inputs["price"]}


def test_top_k_changes_by_none_of_equal_and_by_most_of_opposite_versions(monkeypatch):
    monkeypatch.setattr("hgr_tf.comparing.served_requests.ServingSession", Session)
    top = GateConfig.from_yaml(GATE + "top_k: {changed_at_most: 0.5, items: 50}").top_k
    assert changed_top_k("1", "2", ENCODING, top) == {"": 0}
    assert changed_top_k("1", "-1", ENCODING, top)[""] > 0.7


def test_top_k_is_compared_for_heads_of_both_versions_and_others_are_told(monkeypatch):
    class Headed(Session):
        def call(self, signature, inputs):
            steady = inputs["price"]
            own = "buy" if self.sign > 0 else "like"
            return {"view": self.sign * steady, own: steady, "view/logits": steady}

    monkeypatch.setattr("hgr_tf.comparing.served_requests.ServingSession", Headed)
    top = GateConfig.from_yaml(GATE + "top_k: {changed_at_most: 0.5, items: 50}").top_k
    changed = changed_top_k("1", "-1", ENCODING, top)
    assert changed.pop("view") > 0.7
    assert changed == {"buy": None, "like": None}
    assert changed_top_k("1", "2", ENCODING, top) == {"buy": 0, "view": 0}


def test_a_gate_with_top_k_lets_one_output_become_heads(monkeypatch):
    class Changed(Session):
        def call(self, signature, inputs):
            name = "buy" if self.sign > 0 else "probabilities"
            return {name: inputs["price"]}

    monkeypatch.setattr("hgr_tf.comparing.served_requests.ServingSession", Changed)
    config = GateConfig.from_yaml(GATE + "top_k: {changed_at_most: 0.5, items: 50}")
    skipped = []
    assert not list(_model_lines(config, ENCODING, "1", "-1", 0, skipped))
    assert skipped == [
        "buy/changed top 10: only one of the versions has such a head",
        "changed top 10: only one of the versions has such a head",
    ]


def test_latency_and_size_are_limited_alone_and_beside_the_served_one(
    monkeypatch, tmp_path
):
    monkeypatch.setattr("hgr_tf.comparing.served_requests.ServingSession", Session)
    monkeypatch.chdir(tmp_path)
    for name, size in (("1", 3000), ("2", 2000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_bytes(b"0" * size)
    limits = "latency: {p95_ms_at_most: 1000, rise_at_most: 1000, calls: 20}\n"
    config = GateConfig.from_yaml(
        GATE + limits + "size: {mb_at_most: 0.01, rise_at_most: 0.4}"
    )
    found = list(_model_lines(config, ENCODING, "1", "2", 0, []))
    assert [line.passed for line in found] == [True, True, True, False]
    assert found[-1].value == megabytes("1") == 0.003 and found[-1].served == 0.002
    assert len(list(_model_lines(config, ENCODING, "1", None, 0, []))) == 2
