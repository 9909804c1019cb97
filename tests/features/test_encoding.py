"""The encoding on disk, and the sizes of its id spaces."""

import pytest

from hgr_tf.features import FeatureEncoding, FeatureSpec, SpecError

SPEC = FeatureSpec.from_yaml("""
name: tiny
user_id: user
item_id: item
label: click
user: {user: {type: categorical, oov_buckets: 3}}
item:
  item: {type: hashed, num_buckets: 10}
  age: {type: bucketized, num_buckets: 4}
  price: {type: numeric}
""")
LEARNED = {
    "vocabularies": {"user": ("a", "b c", "\u2028x", "视频", "\x85")},
    "boundaries": {"age": (0.1, 2.0, 3e8)},
    "moments": {"price": (0.1 + 0.2, 1e-30)},
}


def test_saving_and_loading_keeps_every_bit(tmp_path):
    encoding = FeatureEncoding(SPEC, **LEARNED)
    encoding.save(tmp_path / "deep" / "folder")
    assert FeatureEncoding.load(tmp_path / "deep" / "folder") == encoding


def test_numbers_of_ids():
    encoding = FeatureEncoding(SPEC, **LEARNED)
    assert encoding.num_ids("user") == 1 + 3 + 5
    assert encoding.first_vocabulary_id("user") == 4
    assert encoding.num_ids("item") == 1 + 10
    assert encoding.num_ids("age") == 1 + 4
    with pytest.raises(ValueError, match="'price' is numeric"):
        encoding.num_ids("price")


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("vocabularies", "'user' has no vocabulary"),
        ("boundaries", "'age' has no boundaries"),
        ("moments", "'price' has no mean"),
    ],
)
def test_what_was_not_learned_is_named(lacking, message):
    with pytest.raises(ValueError, match=message):
        FeatureEncoding(SPEC, **(LEARNED | {lacking: {}}))


def test_shared_ids_are_learned_once_and_kept(tmp_path):
    spec = FeatureSpec.from_yaml("""
name: shared
user_id: user
item_id: item
label: click
user: {user: {type: categorical}, last: {type: categorical, shares: item}}
item: {item: {type: categorical}}
time: t
history: {seen: {of: last}}
""")
    encoding = FeatureEncoding(spec, {"user": ("u",), "item": ("a", "b")})
    assert encoding.num_ids("last") == encoding.num_ids("seen_last") == 4
    encoding.save(tmp_path)
    assert FeatureEncoding.load(tmp_path) == encoding
    assert not (tmp_path / "vocabularies" / "last.txt").exists()


def test_the_id_that_groups_users_is_shared_by_others_and_shares_none():
    text = """
name: shared
user_id: user
item_id: item
label: click
user: {user: {type: categorical, shares: friend}, friend: {type: categorical}}
item: {item: {type: categorical}}
"""
    with pytest.raises(SpecError, match=r"user\.shares: the user's id must have ids"):
        FeatureSpec.from_yaml(text)


def test_a_missing_file_is_an_error(tmp_path):
    FeatureEncoding(SPEC, **LEARNED).save(tmp_path)
    (tmp_path / "vocabularies" / "user.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"user\.txt"):
        FeatureEncoding.load(tmp_path)
