import itertools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import hgr_tf
from hgr_tf.features import USER
from hgr_tf.metrics import GroupAUC, group_auc
from hgr_tf.testing import two_replicas
from hgr_tf.testing.replicas import run_on_halves
from tests.metrics.reference import slow_group_auc
from tests.metrics.strategies import Rows, rows


def random_rows(size, users, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, size).astype("float32")
    scores = (labels + random.normal(scale=2, size=size)).astype("float32")
    groups = random.integers(0, users, size)
    return Rows(labels, scores, groups, random.random(size).astype("float32"))


def update(metric, batch):
    metric.update_state(
        batch.labels, batch.scores, sample_weight=batch.weights, groups=batch.groups
    )


@given(rows())
def test_function_equals_a_loop_of_scikit_learn(batch):
    expected = slow_group_auc(*batch)
    assert group_auc(*batch) == pytest.approx(
        expected, rel=1e-12, abs=1e-12, nan_ok=True
    )


@settings(max_examples=50)
@given(rows(), st.lists(st.integers(0, 60), max_size=4))
def test_stream_equals_the_function_on_all_rows(batch, cuts):
    metric = GroupAUC()
    edges = [0, *sorted(min(cut, len(batch.labels)) for cut in cuts), None]
    for start, end in itertools.pairwise(edges):
        update(metric, Rows(*(column[start:end] for column in batch)))
    np.testing.assert_equal(np.float32(metric.result()), np.float32(group_auc(*batch)))


@given(rows(), st.floats(0.1, 10), st.randoms())
def test_order_of_rows_and_scale_of_scores_and_weights_change_nothing(
    batch, scale, random
):
    order = list(range(len(batch.labels)))
    random.shuffle(order)
    labels, scores, groups, weights = (column[order] for column in batch)
    again = group_auc(labels, scores.astype("float64") * scale, groups, weights * 2)
    assert again == pytest.approx(group_auc(*batch), rel=1e-12, nan_ok=True)


@given(rows())
def test_flipped_labels_and_scores_mirror(batch):
    labels, scores, groups, weights = batch
    expected = group_auc(*batch)
    mirrored = group_auc(1 - labels, -scores, groups, weights)
    assert mirrored == pytest.approx(expected, nan_ok=True)


def test_ties_count_one_half():
    assert group_auc([1, 0], [0.5, 0.5], [3, 3]) == 0.5
    assert group_auc([1, 0], [0.0, -0.0], [3, 3]) == 0.5


def test_users_of_one_class_do_not_count():
    both = group_auc([1, 0, 0], [0.2, 0.9, 0.1], [1, 1, 1])
    assert (
        group_auc([1, 0, 0, 1, 0], [0.2, 0.9, 0.1, 0.0, 1.0], [1, 1, 1, 2, 3]) == both
    )


def test_row_of_weight_zero_gives_a_user_no_class():
    assert np.isnan(group_auc([1, 0], [0.1, 0.9], [1, 1], [1, 0]))


def test_weight_counts_as_that_many_impressions():
    weighted = group_auc([1, 0, 0], [0.5, 0.9, 0.1], [1, 1, 1], [2, 1, 3])
    repeated = group_auc([1, 1, 0, 0, 0, 0], [0.5, 0.5, 0.9, 0.1, 0.1, 0.1], [1] * 6)
    assert weighted == repeated == 0.75


def test_user_counts_by_impressions():
    # User 1: AUC 1 of 2 rows. User 2: AUC 0 of 3 rows.
    value = group_auc([1, 0, 1, 0, 0], [0.9, 0.1, 0.1, 0.5, 0.9], [1, 1, 2, 2, 2])
    assert value == pytest.approx(2 / 5)


def test_graded_labels_above_zero_are_positives():
    assert group_auc([3, 0, 0.5], [0.9, 0.5, 0.1], [1, 1, 1]) == 0.5


def test_no_rows_and_no_user_with_both_classes_are_undefined():
    assert np.isnan(group_auc([], [], []))
    assert np.isnan(group_auc([1, 0], [0.1, 0.2], [1, 2]))
    assert np.isnan(GroupAUC().result())
    assert np.isnan(GroupAUC().running_result())


def test_nan_score_gives_nan():
    assert np.isnan(group_auc([1, 0], [np.nan, 0.1], [1, 1]))
    metric = GroupAUC()
    metric.update_state([1, 0], [np.nan, 0.1], groups=[1, 1])
    assert np.isnan(metric.result())


def test_string_groups_work_in_the_function():
    assert group_auc([1, 0, 1], [0.9, 0.1, 0.0], ["ann", "ann", "bob"]) == 1


def test_function_refuses_bad_arrays():
    with pytest.raises(ValueError, match=r"must have one length, got \[2, 2, 1, 2\]"):
        group_auc([1, 0], [0.1, 0.2], [1])
    with pytest.raises(ValueError, match=r"`sample_weight` must be at least 0, got -1"):
        group_auc([1, 0], [0.1, 0.2], [1, 1], [1, -1])


def test_function_loads_no_tensorflow():
    code = (
        "import sys; from hgr_tf.metrics import group_auc; "
        "group_auc([1], [1], [1]); sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_metric_refuses_missing_and_wrong_groups():
    metric = GroupAUC()
    with pytest.raises(ValueError, match="`groups` must be the user of each row"):
        metric.update_state([1.0], [1.0])
    with pytest.raises(ValueError, match="`groups` must be integers, got float32"):
        metric.update_state([1.0], [1.0], groups=[1.0])
    with pytest.raises(ValueError, match="`groups` must have one value for each"):
        metric.update_state([1.0, 0.0], [1.0, 0.0], groups=[1])


def test_sizes_unknown_to_the_graph_are_checked_as_it_runs():
    metric = GroupAUC()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)] * 2)
    def step(labels, scores):
        metric.update_state(labels, scores, groups=tf.zeros_like(scores, tf.int32))

    with pytest.raises(tf.errors.InvalidArgumentError, match="`y_true` must have"):
        step([1.0, 0.0, 1.0], [1.0, 0.0])


def test_metric_refuses_negative_weights():
    with pytest.raises(ValueError, match=r"`sample_weight` must be .* got -1"):
        GroupAUC().update_state([1], [0.5], sample_weight=[-1.0], groups=[1])


def test_columns_and_scalar_weight_are_accepted():
    metric = GroupAUC()
    metric.update_state(
        [[1], [0]], [[0.9], [0.1]], sample_weight=2.0, groups=[[7], [7]]
    )
    assert float(metric.result()) == 1


def test_buffer_grows_past_its_capacity_within_one_graph():
    batches = [random_rows(700, 50, seed) for seed in range(12)]
    metric = GroupAUC()

    @tf.function
    def step(batch):
        update(metric, batch)
        return metric.result()

    for batch in batches:
        result = step(Rows(*map(tf.constant, batch)))
    everything = Rows(
        *(np.concatenate(column) for column in zip(*batches, strict=True))
    )
    assert float(result) == np.float32(group_auc(*everything))
    metric.reset_state()
    assert float(step(Rows(*map(tf.constant, batches[0])))) == np.float32(
        group_auc(*batches[0])
    )


def test_running_result_lags_by_less_than_half_and_reset_clears_it():
    metric = GroupAUC()
    first, second, third = (random_rows(100, 5, seed) for seed in range(3))
    update(metric, first)
    assert float(metric.running_result()) == np.float32(group_auc(*first))
    update(metric, Rows(*(column[:49] for column in second)))
    assert float(metric.running_result()) == np.float32(group_auc(*first))
    update(metric, Rows(*(column[49:] for column in second)))
    both = Rows(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))
    assert float(metric.running_result()) == np.float32(group_auc(*both))
    metric.reset_state()
    assert np.isnan(metric.running_result())
    update(metric, third)
    assert float(metric.running_result()) == np.float32(group_auc(*third))


def test_every_replica_holds_the_rows_of_all():
    strategy = two_replicas()
    batch = random_rows(3000, 40)
    with strategy.scope():
        metric = GroupAUC()

    def step(half):
        update(metric, half)
        return metric.running_result()

    results = run_on_halves(strategy, step, Rows(*map(tf.constant, batch)))
    expected = np.float32(group_auc(*batch))
    assert [float(result) for result in results] == [expected, expected]
    assert float(metric.result()) == expected


def test_xla_is_refused_with_advice():
    metric = GroupAUC()

    @tf.function(jit_compile=True)
    def step():
        metric.update_state([1.0], [1.0], groups=[1])
        return 0

    with pytest.raises(NotImplementedError, match="jit_compile=False"):
        step()


def test_rows_are_not_saved_with_a_model():
    metric = GroupAUC()
    update(metric, random_rows(5000, 10))
    assert not list(metric.variables)


def test_a_million_rows_equal_the_function():
    batch = random_rows(1_000_000, 200_000)
    expected = group_auc(*batch)
    metric = GroupAUC()
    update(metric, batch)
    assert float(metric.result()) == np.float32(expected)


def test_evaluate_of_a_model_ends_with_the_exact_figure():
    """The running result of the last step lags; Keras asks again at the end."""
    score = tf.keras.Input([1], name="score")
    ranker = tf.keras.Model({"score": score}, tf.keras.layers.Dense(1)(score))
    model = hgr_tf.HierarchicalGroupwiseRanker(ranker)
    model.compile("sgd", metrics=[GroupAUC()])
    batch = random_rows(1000, 40)
    inputs = {"score": batch.scores[:, None], USER: batch.groups}
    dataset = tf.data.Dataset.from_tensor_slices((inputs, batch.labels)).batch(30)
    for _ in range(2):
        found = model.evaluate(dataset, return_dict=True, verbose=0)["gauc"]
        probabilities = tf.sigmoid(ranker.predict(inputs["score"], verbose=0))[:, 0]
        assert found == np.float32(group_auc(batch.labels, probabilities, batch.groups))
