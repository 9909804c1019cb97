import numpy as np
import pytest

from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.training.unseen_users import warn_of_unseen_users
from tests.prepared import ENCODING


def batches(ids, users=None):
    """One batch for each list of encoded ids of the feature "user"."""
    users = ids if users is None else users
    for batch, of in zip(ids, users, strict=True):
        yield {"user": np.array(batch), USER: np.array(of)}, np.zeros(len(batch))


@pytest.mark.parametrize(
    ("ids", "share", "warns"),
    [
        ([[1] * 19 + [2]], 0.95, True),
        ([[1] * 18 + [2, 3]], 0.9, False),
        ([[1, 1], [0, 1]], 1.0, True),
        ([[5, 6], [7, 8]], 0.0, False),
    ],
)
def test_it_warns_from_ninety_five_percent_on(ids, share, warns, caplog):
    users = iter(range(100))
    given = batches(ids, [[next(users) for _ in batch] for batch in ids])
    assert warn_of_unseen_users(ENCODING, given, "val") == pytest.approx(share)
    assert ("'val' looked at" in caplog.text) is warns


def test_a_user_counts_once_however_many_rows_it_has():
    given = batches([[1, 1, 1, 2]], [[7, 7, 7, 8]])
    assert warn_of_unseen_users(ENCODING, given, "val") == 0.5


def test_nothing_is_said_without_rows_or_without_a_feature_of_the_user(caplog):
    spec = FeatureSpec.from_yaml("""
name: x
user_id: user
item_id: item
label: click
user:
  country: {type: categorical}
item:
  item: {type: categorical}
""")
    encoding = FeatureEncoding(spec=spec, vocabularies={"country": (), "item": ()})
    assert warn_of_unseen_users(encoding, batches([[1, 1]]), "val") is None
    assert warn_of_unseen_users(ENCODING, [], "val") is None
    assert not caplog.text


def test_every_bucket_of_unknown_users_counts_as_unknown():
    spec = FeatureSpec.from_yaml("""
name: x
user_id: user
item_id: item
label: click
user:
  user: {type: categorical, oov_buckets: 3}
item:
  item: {type: categorical}
""")
    encoding = FeatureEncoding(spec=spec, vocabularies={"user": ("a",), "item": ()})
    given = batches([[1, 2, 3, 4]], [[5, 6, 7, 8]])
    assert warn_of_unseen_users(encoding, given, "val") == 0.75
