"""Features that only training knows: what the spec accepts, and what they leave."""

import pytest

from hgr_tf.features import FeatureEncoding, FeatureSpec, SpecError

TEXT = """
name: page
user_id: user
item_id: item
label: click
time: t
user: {user: {type: categorical, dtype: int64}}
item: {item: {type: categorical}, tags: {type: multi_categorical}}
context:
  position: {type: categorical, dtype: int64, column: pos}
  slot: {type: categorical}
  depth: {type: numeric, standardize: false}
  tower: {type: cross, of: [position, slot], num_buckets: 9}
"""
ALL = "training_only: {position: 1, slot: 7, depth: 2.5, tower: null}\n"


def test_no_request_holds_them():
    spec = FeatureSpec.from_yaml(TEXT + ALL)
    assert [f.name for f in spec.served_features()] == ["user", "item", "tags"]
    assert [f.name for f in spec.request_features()] == ["user", "item", "tags"]
    assert "position" in spec.inputs() and "pos" in spec.log_columns()
    assert FeatureSpec.from_yaml(spec.to_yaml()) == spec


def test_a_spec_without_any_is_what_it_was():
    spec = FeatureSpec.from_yaml(TEXT)
    assert "training_only" not in spec.model_dump()
    assert spec.digest() != FeatureSpec.from_yaml(TEXT + ALL).digest()


def encoding(training_only):
    return FeatureEncoding(
        FeatureSpec.from_yaml(f"{TEXT}{training_only}"),
        vocabularies={
            "user": ("5",),
            "item": ("a",),
            "tags": (),
            "position": ("3", "1"),
            "slot": ("7", "top"),
        },
    )


def test_their_values_are_encoded_as_those_of_rows():
    values = encoding(ALL)
    assert values.constant_of("position") == 3  # missing, unknown, "3", "1"
    assert values.constant_of("slot") == 2
    assert values.constant_of("depth") == 2.5
    assert values.constant_of("tower") is None


def test_a_value_that_training_did_not_see_is_named():
    strange = encoding("training_only: {tower: null, position: 12}")
    with pytest.raises(ValueError, match=r"position must be a value that .* got 12"):
        strange.constant_of("position")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{posn: 1}", "must name features of the spec ['user', 'item', 'tags', "),
        ("{user: 1}", "user must be another feature than the user's id"),
        ("{tags: a}", "tags must be a feature of one value per row, got one of type"),
        ("{position: 1}", "training_only.position: 'tower' is made of it"),
        ("{tower: 1}", "tower must be null, as it is made of ['position', 'slot']"),
        ("{depth: deep}", "depth must be a number, or null, got 'deep'"),
        ("{tower: null, position: 1.5}", "position must be an integer, or null, got"),
        ("{tower: null, slot: 1.5}", "slot must be a text or an integer, or null, got"),
        ("{tower: null, slot: true}", "an integer, or null, got True"),
    ],
)
def test_wrong_sections_are_named(section, message):
    with pytest.raises(SpecError) as error:
        FeatureSpec.from_yaml(f"{TEXT}training_only: {section}\n")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("context", "section", "made"),
    [
        ("", "history: {seen: {of: item, with: [position]}}", "seen_position"),
        ("", "counters: {rate: {by: [user, position]}}", "rate"),
        ("last: {type: categorical, dtype: int64, shares: position}", "", "last"),
    ],
)
def test_what_is_made_of_their_values_would_need_them_still(context, section, made):
    text = f"{TEXT.partition('  tower:')[0]}  {context}\n{section}\n"
    with pytest.raises(SpecError, match=f"training_only.position: '{made}' is made of"):
        FeatureSpec.from_yaml(f"{text}training_only: {{position: 1}}\n")
