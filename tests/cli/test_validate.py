import json

import pytest

from hgr_tf.cli.main import main
from hgr_tf.features import FeatureEncoding, FeatureSpec

SPEC = """
name: shop
user_id: user
item_id: item
label: click
user:
  user: {type: categorical, dtype: int64}
item:
  item: {type: categorical}
  price: {type: numeric}
"""


def statistics(top, deciles, rate=0.2):
    rows = sum(top.values())
    common = {"rows": rows, "missing": 0, "missing_share": 0.0}
    listed = [{"value": v, "count": n} for v, n in top.items()]
    values = {"unknown_share": 0.0, "distinct": len(top), "top": listed}
    return {
        "splits": {"train": {"rows": rows, "positives": 1, "positive_rate": rate}},
        "days": [],
        "features": {
            "user": {"type": "categorical", **common, **values},
            "item": {"type": "categorical", **common, **values},
            "price": {"type": "numeric", **common, "deciles": deciles},
        },
    }


@pytest.fixture(autouse=True)
def days(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deciles = [float(n) for n in range(11)]
    for name, top, rate in (
        ("monday", {"1": 60, "2": 40}, 0.2),
        ("tuesday", {"1": 58, "2": 42}, 0.21),
        ("sunday", {"1": 10, "2": 90}, 0.4),
    ):
        folder = tmp_path / name
        FeatureEncoding(
            FeatureSpec.from_yaml(SPEC),
            vocabularies={"user": ("1", "2"), "item": ("1", "2")},
            moments={"price": (5.0, 2.0)},
        ).save(folder)
        text = json.dumps(statistics(top, deciles, rate))
        (folder / "statistics.json").write_text(text)


@pytest.fixture
def run(capsys):
    def run(line):
        with pytest.raises(SystemExit) as end:
            main(["validate", *line.split()])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


def compare(day, against="monday"):
    return f"--statistics {day}/statistics.json --against {against}/statistics.json"


def test_days_alike_end_with_0_and_others_with_3(run):
    code, out, err = run(compare("tuesday"))
    assert (code, err) == (0, "") and "drift:" not in out
    code, out, _ = run(compare("sunday"))
    assert code == 3
    assert "drift: item: jensen_shannon" in out
    assert "drift: (label) of train: label_rate 1, limit 0.1 (was 0.2, is 0.4)" in out


def test_thresholds_come_from_a_file_and_json_holds_every_measure(run, tmp_path):
    (tmp_path / "wide.yaml").write_text(
        "defaults: {jensen_shannon: 0.9}\nlabel_rate: 2\n"
        "features: {price: {jensen_shannon: 0}}"
    )
    line = f"{compare('sunday')} --thresholds wide.yaml --json"
    code, out, _ = run(line)
    told = json.loads(out)
    assert code == 0 and told["drifted"] is False
    found = {(one["feature"], one["measure"]): one for one in told["measures"]}
    assert found["item", "l_infinity"]["value"] == pytest.approx(0.5)
    assert found["price", "jensen_shannon"]["limit"] == 0
    (tmp_path / "wide.yaml").write_text("features: {prize: {new_values: 0}}")
    code, _, err = run(line)
    assert code == 1 and "got 'prize'; did you mean 'price'?" in err


def test_requests_are_compared_with_training(run, tmp_path):
    good = [
        {"user": n % 2 + 1, "item": "1", "price": 1.0 * (n % 11)} for n in range(50)
    ]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in good))
    limits = tmp_path / "limits.yaml"
    limits.write_text("defaults: {jensen_shannon: 0.6}")
    line = "--requests log.jsonl --prepared monday --thresholds limits.yaml"
    code, out, _ = run(line)
    assert code == 0 and "log.jsonl against monday/statistics.json" in out
    skewed = [{"user": "9", "item": None, "price": 1.0} for _ in range(50)]
    log.write_text("".join(json.dumps(row) + "\n" for row in skewed))
    code, out, _ = run(line)
    assert code == 3
    assert "drift: user: unknown_share 1, limit 0.05 (was 0, is 1)" in out
    assert "drift: user: new_values 1" in out
    assert "drift: item: missing_share 1" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "--statistics must go with --against, or --requests with --prepared"),
        ("--statistics monday/statistics.json", "must go with --against"),
        (compare("friday"), "friday/statistics.json: cannot be read: No such file"),
        (f"{compare('monday')} --thresholds none.yaml", "none.yaml: cannot be read"),
        ("--requests none.jsonl --prepared monday", "none.jsonl: no such file"),
    ],
)
def test_bad_input_is_one_line_and_1(line, message, run):
    code, out, err = run(line)
    assert (code, out) == (1, "")
    assert err.startswith("hgr-tf: ") and message in err and err.count("\n") == 1
