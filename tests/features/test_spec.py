"""The feature spec: what it accepts, what it says when it does not."""

import subprocess
import sys

import pytest

from hgr_tf.features import FeatureSpec, SpecError, TimeSplit

MINIMAL = """
name: tiny
user_id: user
item_id: item
label: click
user: {user: {type: categorical, dtype: int64}}
item: {item: {type: categorical}, price: {type: numeric}}
"""


def parse(extra=""):
    return FeatureSpec.from_yaml(MINIMAL + extra)


def test_yaml_round_trip_keeps_every_section():
    spec = parse("""
time: when
time_unit: ms
weight: w
missing_values: ["NULL"]
format: {type: csv, delimiter: "::", header: false, columns: [user, item, click]}
split: {by: time, starts: {val: "2022-05-01", test: 1651600000000}}
duplicates: drop
overlap: fail
negatives: {rate: 0.5}
tables: {item: {key: id, unmatched: reject, format: {encoding: latin-1}}}
context:
  tab: {type: hashed, num_buckets: 5}
  age: {type: bucketized, boundaries: [1, 2.5]}
  tags: {type: multi_categorical, delimiter: "|"}
""")
    assert FeatureSpec.from_yaml(spec.to_yaml()) == spec
    assert FeatureSpec.from_yaml(spec.to_yaml()).digest() == spec.digest()
    assert spec.digest() != parse().digest()


def test_columns_of_log_and_tables():
    spec = parse("tables: {item: {key: id}}\ncontext: {tab: {type: categorical}}\n")
    assert spec.log_columns() == ["user", "item", "click", "tab"]
    assert spec.table_columns("item") == ["id", "price"]
    assert spec.id_dtype("user") == "int64" and spec.id_dtype("item") == "string"


def test_a_pair_has_no_column():
    pair = "pair: {type: cross, of: [user, item], num_buckets: 5}"
    text = MINIMAL.replace("price: {type: numeric}", pair)
    spec = FeatureSpec.from_yaml(f"{text}tables: {{item: {{key: id}}}}")
    assert spec.log_columns() == ["user", "item", "click"]
    assert spec.table_columns("item") == ["id"]
    assert list(spec.inputs()) == ["user", "item", "pair"]
    assert FeatureSpec.from_yaml(spec.to_yaml()) == spec


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("colour: red", "colour: unknown field"),
        ("tme: when", "tme: unknown field; did you mean 'time'?"),
        (
            "context: {tab: {type: categorical, min_cout: 2}}",
            "min_cout: unknown field; did you mean 'min_count'?",
        ),
        ("label: {column: c, min: 1, max: 1}", "min must be below max"),
        ("context: {price: {type: numeric}}", "seen twice: ['price']"),
        ("context: {__x: {type: numeric}}", "name it 'x' and give it `column: '__x'`"),
        ("context: {x: {type: bucketized}}", "give either num_buckets or boundaries"),
        ("split: {by: time, starts: {val: 5}}", "split by time needs `time`"),
        ("time: t\nsplit: {by: time, starts: {val: '2022-01-01'}}", "`time_unit`"),
        ("time: t\nsplit: {by: time, starts: {a: 5, b: 5}}", "starts must ascend"),
        ("split: {by: user, fractions: {train: 0.5, val: 0.4}}", "sum to 1"),
        ("split: {by: user, fractions: {a: 1.0}}", "must name 'train'"),
        ("split: {by: user, fractions: {train: 0.5, ../a: 0.5}}", "got ['../a']"),
        ("time: t\nsplit: {by: time, starts: {a/b: 5}}", "got ['a/b']"),
        (
            "time: t\nsplit: {by: time, starts: {val: soon}}",
            "split.time.starts.val: must be a number of the time column or an ISO "
            "date, got 'soon'",
        ),
        ("time: t\nsplit: {by: time, starts: {val: true}}", "an ISO date, got True"),
        ("context: {x: {type: numeric, default: .nan}}", "default: Input should be a"),
        ("context: {x: {type: numeric, default: 1.e+39}}", "default: Input should be"),
        ("context: {x: {type: bucketized, boundaries: [.nan]}}", "x.bucketized.bound"),
        ("context: {item.counts: {type: numeric}}", "got ['item.counts']"),
        ("context: {user id: {type: numeric}}", "name it 'user_id'"),
        ("context: {C1-14: {type: numeric}}", "name it 'C1_14'"),
        ("context: {1st: {type: numeric}}", "name it 'f_1st'"),
        ("context: {é: {type: numeric}}", "name it 'feature'"),
        ("negatives: {rate: 0}", "negatives.rate"),
        ("format: {header: false}", "`columns` must name the columns"),
        ("format: {quote: '##'}", "format.quote"),
        (
            "context: {x: {type: categorical, shares: itm}}",
            "x.shares must name a feature with a vocabulary of its own",
        ),
        (
            "context: {x: {type: categorical, oov_buckets: 7, shares: item}}",
            "x: `dtype` and `oov_buckets` must be those of 'item'",
        ),
        (
            "context: {x: {type: cross, of: [user, price], num_buckets: 3}}",
            "x.of must name features of one text or integer per row, among "
            "['user', 'item'], got ['price']",
        ),
        (
            "context: {x: {type: cross, of: [user, item], num_buckets: 3}}",
            "depends on the item, so it must be in the section 'item', got 'context'",
        ),
        (
            "context: {x: {type: weighted_hashed, num_buckets: 3, delimiter: ':'}}",
            "weight_delimiter must not hold the delimiter of the values, ':', got ':'",
        ),
        (
            "context: {x: {type: cross, of: [user], num_buckets: 3}}",
            "context.x.cross.of",
        ),
        (
            "context: {x: {type: cross, of: [user, user], num_buckets: 3, column: y}}",
            "context.x.cross.column: Input should be None",
        ),
        ("name: [", "not YAML"),
    ],
)
def test_errors_name_the_field(extra, message):
    text = MINIMAL.replace("label: click\n", "") if "label:" in extra else MINIMAL
    with pytest.raises(SpecError) as error:
        FeatureSpec.from_yaml(f"{text}\n{extra}\n", source="my.yaml")
    assert message in str(error.value) and "my.yaml" in str(error.value)


SEVERAL = """
labels:
  click: clicked
  cart: {column: carted, given: click}
  purchase: {column: bought, positive_at_least: 2, max: 9, given: cart, weight: w_buy}
"""


def parse_several(labels=SEVERAL, extra=""):
    return FeatureSpec.from_yaml(MINIMAL.replace("label: click", labels) + extra)


@pytest.mark.parametrize("labels", ["label: clicked", "labels: {click: clicked}"])
def test_an_unknown_feature_of_a_history_is_named_with_one_label_or_several(labels):
    with pytest.raises(SpecError, match=r"history\.seen\.of or with .*'nothing'"):
        parse_several(labels, "time: t\nhistory: {seen: {of: nothing}}")


def test_one_label_leaves_the_spec_what_it_was():
    dumped = parse("weight: w").model_dump()
    assert "labels" not in dumped
    assert list(dumped["label"]) == ["column", "positive_at_least", "min", "max"]
    assert not parse().labels and list(parse().label_keys()) == ["__label__"]


def test_several_labels_come_back_from_yaml_in_order():
    spec = parse_several(extra="weight: w")
    assert FeatureSpec.from_yaml(spec.to_yaml()) == spec
    assert FeatureSpec.model_validate(spec.model_dump()) == spec
    assert spec.label is spec.labels["click"]
    assert list(spec.labels) == ["click", "cart", "purchase"]
    assert spec.log_columns()[2:7] == ["clicked", "carted", "bought", "w", "w_buy"]
    assert spec.weight_keys() == {"__weight__": "w", "__weight_purchase__": "w_buy"}


def test_which_label_is_the_first_is_part_of_the_digest():
    first, second = "click: clicked", "like: liked"
    one = parse_several(f"labels: {{{first}, {second}}}")
    other = parse_several(f"labels: {{{second}, {first}}}")
    assert one.digest() != other.digest()


def test_counters_and_histories_may_name_a_label():
    extra = (
        "time: t\n"
        "counters: {bought: {by: user, of: purchase}}\n"
        "history: {bought: {of: item, where: {purchase: 1}}}\n"
    )
    assert parse_several(extra=extra).counters["bought"].of == "purchase"
    with pytest.raises(SpecError, match=r"counters.seen.of must be a label, .*'like'"):
        parse_several(extra="time: t\ncounters: {seen: {by: user, of: like}}")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("label: click\nlabels: {click: c}", "either `label` or `labels`, got both"),
        ("labels: {}", "`labels` must name a label at least, got {}"),
        ("labels: {click: {colum: c}}", "labels.click.colum: unknown field; did you"),
        ("labels: {a-b: c}", "a label's name must be letters, digits and '_'"),
        ("labels: {price: c}", "must not have the names of features, got ['price']"),
        ("labels: {logits: c}", "outputs of the served model have; got ['logits']"),
        (
            "labels: {buy: {column: b, given: click}, click: c}",
            "labels.buy.given must be an earlier label, among [], got 'click'",
        ),
        (
            "label: {column: c, given: click}",
            "label.given is for `labels`, got 'click'",
        ),
        ("label: {column: c, weight: w}", "label.weight is for `labels`, got 'w'"),
    ],
)
def test_wrong_labels_are_named(labels, message):
    with pytest.raises(SpecError) as error:
        parse_several(labels)
    assert message in str(error.value)


@pytest.mark.parametrize("start", ["2022-05-01", "2022-05-01T00:00:00Z"])
def test_dates_need_no_quotes(start):
    split = "split: {by: time, starts: {val: " + start + "}}"
    spec = parse(f"time: t\ntime_unit: s\n{split}\n")
    assert spec.split.cuts("s") == [1_651_363_200]
    assert FeatureSpec.from_yaml(spec.to_yaml()) == spec


def test_yaml_keeps_every_character():
    odd = [f"a{chr(code)}b" for code in (*range(0x250), *range(0x2000, 0x2070), 0xFEFF)]
    spec = FeatureSpec.model_validate(parse().model_dump() | {"missing_values": odd})
    assert FeatureSpec.from_yaml(spec.to_yaml()).digest() == spec.digest()


def test_dates_become_numbers_of_the_time_column():
    split = TimeSplit(starts={"val": "1970-01-02", "test": "1970-01-02T00:00:01+00:00"})
    assert split.cuts("ms") == [86_400_000, 86_401_000]
    assert split.names == ("train", "val", "test")


def test_a_file_that_is_not_there():
    with pytest.raises(SpecError, match=r"nowhere\.yaml: cannot be read"):
        FeatureSpec.load("nowhere.yaml")


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(MINIMAL.encode() + b"# caf\xe9")
    with pytest.raises(SpecError, match=r"spec\.yaml: expected UTF-8 text, got .*xe9"):
        FeatureSpec.load(path)


@pytest.mark.parametrize("module", ["hgr_tf.features", "hgr_tf.pipelines.run"])
def test_no_tensorflow_is_imported(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code]).returncode == 0
