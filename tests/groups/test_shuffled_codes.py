import numpy as np
import tensorflow as tf

from hgr_tf.groups import shuffled_codes

RANDOM = np.random.default_rng(0)
USERS = RANDOM.integers(0, 50, 400) * 10**12
PATHS = RANDOM.integers(0, 4, (50, 3)).astype(np.int32)
CODES = PATHS[USERS // 10**12]


def test_the_rows_of_a_user_stay_together():
    dealt = shuffled_codes(tf.constant(CODES), tf.constant(USERS)).numpy()
    for user in np.unique(USERS):
        assert len(np.unique(dealt[user == USERS], axis=0)) == 1


def test_groups_hold_as_many_users_as_before():
    dealt = shuffled_codes(tf.constant(CODES), tf.constant(USERS)).numpy()
    _, first = np.unique(USERS, return_index=True)
    before, after = CODES[first], dealt[first]
    for level in range(1, 4):
        counts = [
            np.unique(codes[:, :level], axis=0, return_counts=True)
            for codes in (before, after)
        ]
        np.testing.assert_array_equal(counts[0][0], counts[1][0])
        np.testing.assert_array_equal(counts[0][1], counts[1][1])


def test_codes_are_dealt_anew_in_every_step():
    run = tf.function(shuffled_codes)
    one, two = (run(tf.constant(CODES), tf.constant(USERS)) for _ in range(2))
    assert (np.asarray(one) != np.asarray(two)).any()
