"""Values of labels and weights that LogLoss is not defined for are refused."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

import hgr_tf
from hgr_tf import losses, metrics
from hgr_tf.losses.log_loss import log_loss

keras = tf.keras
LABELS, LOGITS = np.float32([1, 0, 1, 0]), np.zeros(4, np.float32)
ONES = np.ones(4, np.float32)
MINUS_ONE = np.float32([1, -1, 1, -1])
BAD = {
    "labels -1/1": (MINUS_ONE, None, r"`labels` must be .*-1"),
    "stars": (np.float32([1, 5, 3, 0]), None, r"`labels` must be in .* got .*5"),
    "NaN": (np.float32([1, np.nan, 1, 0]), None, "`labels` must be .*nan"),
    "negative weights": (LABELS, MINUS_ONE, "`sample_weight` must be .*-1"),
    "infinite weights": (LABELS, ONES * np.inf, "`sample_weight` must be .*inf"),
}
every_fault = pytest.mark.parametrize("fault", BAD)


def baseline_loss(labels, logits, weights):
    return losses.GroupwiseBaselineLoss()(labels, logits, sample_weight=weights)


@pytest.fixture
def checks_off():
    hgr_tf.set_input_checks(False)
    yield
    hgr_tf.set_input_checks(True)


def of_metric(metric):
    def update(labels, logits, weights):
        keywords = {"groups": [1] * 4} if isinstance(metric, metrics.GroupAUC) else {}
        metric.update_state(labels, tf.sigmoid(logits), weights, **keywords)
        return tf.constant(0)

    return update


def graded(function, fault):
    """Whether a function takes labels above 1."""
    return fault == "stars" and function != log_loss


@every_fault
@pytest.mark.parametrize("function", [log_loss, baseline_loss])
@pytest.mark.parametrize("in_graph", [False, True])
def test_losses_refuse(function, fault, in_graph):
    labels, weights, message = BAD[fault]
    error = tf.errors.InvalidArgumentError if in_graph else ValueError
    run = tf.function(function) if in_graph else function
    takes = graded(function, fault)
    with contextlib.nullcontext() if takes else pytest.raises(error, match=message):
        run(tf.constant(labels), tf.constant(LOGITS), weights)


@every_fault
@pytest.mark.parametrize(
    "make",
    [metrics.GroupAUC, metrics.PredictedOverObserved, metrics.ExpectedCalibrationError],
)
def test_metrics_refuse(make, fault):
    labels, weights, message = BAD[fault]
    takes = fault == "stars" and make is not metrics.ExpectedCalibrationError
    refused = pytest.raises(ValueError, match=message)
    with contextlib.nullcontext() if takes else refused:
        of_metric(make())(labels, LOGITS, weights)


def small_model():
    score = keras.Input([1], name="score")
    ranker = keras.Model({"score": score}, keras.layers.Dense(1)(score))
    model = hgr_tf.HierarchicalGroupwiseRanker(ranker)
    model.compile("sgd")
    return model


@every_fault
@pytest.mark.parametrize("step", ["fit", "evaluate"])
def test_models_refuse(fault, step):
    labels, weights, message = BAD[fault]
    inputs = {"score": LOGITS[:, None]}
    run = getattr(small_model(), step)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(inputs, labels, sample_weight=weights, verbose=0)


def test_checks_can_be_turned_off(checks_off):
    inputs = {"score": LOGITS[:, None]}
    for labels, weights, _ in BAD.values():
        log_loss(labels, LOGITS, weights)
        small_model().fit(inputs, labels, sample_weight=weights, verbose=0)
    of_metric(metrics.PredictedOverObserved())(MINUS_ONE, LOGITS, None)


def test_weightless_rows_may_have_any_label():
    labels, weights = np.float32([1, np.nan, -7, 0]), np.float32([1, 0, 0, 1])
    assert np.isfinite(log_loss(labels, LOGITS, weights))
    assert np.isfinite(baseline_loss(labels, LOGITS, weights))
