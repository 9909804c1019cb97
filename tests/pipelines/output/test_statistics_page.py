"""The files for people and for other tools beside the data."""

import json
from html.parser import HTMLParser

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from hgr_tf.features import FeatureSpec
from tests.pipelines.conftest import SPEC


def prepared(run, tmp_path):
    rows = [
        {
            "user": f"u{i % 3}",
            "item": i % 5,
            "click": i % 2,
            "age": 1.5 * i,
            "when": day,
        }
        for day in (0, 86_400)
        for i in range(20)
    ]
    rows[0]["tags"] = ["a<b>", "c"]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, rows)))
    spec = FeatureSpec.from_yaml(SPEC + "time: when\ntime_unit: s\n")
    return run(spec, [str(log)])


def test_statistics_tell_rates_missing_values_and_distributions(run, tmp_path):
    folder, _ = prepared(run, tmp_path)
    found = json.loads((folder / "statistics.json").read_text())
    assert found["splits"]["train"] == {
        "rows": 40,
        "positives": 20,
        "positive_rate": 0.5,
    }
    assert [day["day"] for day in found["days"]] == ["1970-01-01", "1970-01-02"]
    tags, age = found["features"]["tags"], found["features"]["age"]
    assert tags["missing_share"] == 0.975 and tags["distinct"] == 2
    assert age["deciles"][0] == 0 and age["deciles"][-1] == 28.5
    assert found["features"]["item"]["top"][0] == {"value": "0", "count": 8}


def test_page_is_well_formed_and_escapes_values(run, tmp_path):
    folder, _ = prepared(run, tmp_path)
    page = (folder / "statistics.html").read_text()
    assert "a&lt;b&gt;" in page and "a<b>" not in page

    class Balance(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(page)
    assert parser.open == []


def test_schema_names_every_key_of_the_examples(run, tmp_path):
    folder, _ = prepared(run, tmp_path)
    schema = schema_pb2.Schema()
    text_format.Parse((folder / "schema.pbtxt").read_text(), schema)
    features = {feature.name: feature for feature in schema.feature}
    assert set(features) == {
        "user", "age", "item", "tags", "hour", "city",
        "__label__", "__user__", "__item__", "__time__",
    }  # fmt: skip
    assert features["tags"].value_count.max == 3
    assert features["item"].int_domain.max == 6
    assert features["age"].type == schema_pb2.FLOAT
