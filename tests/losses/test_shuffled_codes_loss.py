import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.losses import HierarchicalGroupwiseLoss

USERS = np.repeat(np.arange(40), 5)
CODES = np.stack([USERS % 4, USERS % 8 // 4], axis=1).astype("int32")


def columns(seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(len(USERS)) < 0.4).astype("float32")
    return tf.constant(labels), tf.constant(rng.normal(size=len(USERS)), tf.float32)


def loss(**options):
    return HierarchicalGroupwiseLoss(2, level_weights=1.0, **options)


def test_another_deal_is_another_loss():
    tf.random.set_seed(1)
    labels, logits = columns()
    control = loss(shuffle_codes=True)
    dealt = {
        float(control(labels, logits, CODES, user_ids=tf.constant(USERS)))
        for _ in range(5)
    }
    own = float(loss()(labels, logits, CODES))
    assert len(dealt | {own}) == 6


def test_a_deal_among_users_of_one_code_changes_nothing():
    labels, logits = columns()
    codes = np.zeros_like(CODES)
    dealt = loss(shuffle_codes=True)(labels, logits, codes, user_ids=USERS)
    np.testing.assert_allclose(dealt, loss()(labels, logits, codes), rtol=1e-6)


def test_users_are_needed():
    labels, logits = columns()
    control = loss(shuffle_codes=True)
    assert control.by_user
    with pytest.raises(ValueError, match="given with shuffle_codes=True, got None"):
        control(labels, logits, CODES)


def test_it_survives_its_config_and_refuses_a_global_batch():
    control = loss(shuffle_codes=True)
    assert HierarchicalGroupwiseLoss.from_config(control.get_config()).shuffle_codes
    with pytest.raises(ValueError, match="`shuffle_codes` must be False"):
        loss(shuffle_codes=True, global_batch=True)
