import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.groups import prefix_groups


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_groups_of_every_level_are_runs_in_nested_order(levels, jit_compile):
    codes = np.random.default_rng(0).integers(0, 3, (50, levels))

    @tf.function(jit_compile=jit_compile)
    def order_and_ids(codes):
        groups = prefix_groups(codes)
        return groups.nested_order(), groups.level_ids()

    order, level_ids = order_and_ids(codes)
    assert sorted(order.numpy()) == list(range(50))
    for ids in level_ids:
        ids = ids.numpy()[order.numpy()]
        assert np.count_nonzero(np.diff(ids)) == len(set(ids)) - 1
