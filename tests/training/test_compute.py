"""Precision, XLA, determinism, accumulation and traces of a run."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as framework

from hgr_tf.compat import dtype_policy, unscaled
from hgr_tf.models import HierarchicalGroupwiseRanker
from hgr_tf.training import ConfigError, RunConfig, resumable_fit, train, trainer
from hgr_tf.training.checkpoints import Checkpoints
from hgr_tf.training.determinism import deterministic_ops
from hgr_tf.training.optimizer import averaged_weights, build_optimizer
from tests.training.test_checkpoints import at_step, die, history
from tests.training.test_trainer import (
    Killed,
    assert_equal_weights,
    config,
    folder,  # noqa: F401
    plain,  # noqa: F401
    weights,
)


@pytest.fixture(scope="module")
def trained_in_half(folder, tmp_path_factory):  # noqa: F811
    output = tmp_path_factory.mktemp("runs") / "half"
    half = config(folder, checkpoints={"every_steps": 5})
    half = half.override(compute={"precision": "mixed_float16"})
    return train(half, output, verbose=0)


def test_half_precision_trains_and_leaves_a_run_in_float32(
    trained_in_half,
    plain,  # noqa: F811
):
    dense = trained_in_half.model.ranker.get_layer("deep_dense_1")
    assert dense.compute_dtype == "float32"
    assert trained_in_half.metrics["log_loss"] == pytest.approx(
        plain.metrics["log_loss"], abs=5e-3
    )
    # The rounding of half precision shows.
    assert (weights(trained_in_half)[0] != weights(plain)[0]).any()
    assert trained_in_half.metrics["gauc"] > 0.6


@pytest.mark.slow
def test_half_precision_resumes_to_equal_weights(
    trained_in_half, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        at_step(patch, 12, die)
        with pytest.raises(Killed):
            train(trained_in_half.config, tmp_path, verbose=0)
    resumed = train(trained_in_half.config, tmp_path, verbose=0)
    assert_equal_weights(trained_in_half, resumed)
    assert history(tmp_path) == history(trained_in_half.path)


def scaled_model():
    with dtype_policy("mixed_float16"):
        model = tf.keras.Sequential([tf.keras.Input([3]), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_checkpoints_hold_the_scale_of_the_loss(tmp_path):
    model = scaled_model()
    before = float(unscaled_by(model))
    # The gradient overflows, and the scale is halved.
    model.fit(np.full([4, 3], 6e4), np.zeros([4, 1]), verbose=0)
    assert float(unscaled_by(model)) < before
    Checkpoints(tmp_path, model).save(1)
    again = scaled_model()
    again.fit(np.zeros([4, 3]), np.zeros([4, 1]), verbose=0)
    assert Checkpoints(tmp_path, again).restore() == 1
    assert float(unscaled_by(again)) == float(unscaled_by(model))


def unscaled_by(model):
    scale = getattr(model.optimizer, "loss_scale", None)  # Keras 2's
    return model.optimizer.dynamic_scale if scale is None else scale


def test_averages_of_an_optimizer_that_scales_are_found(tmp_path):
    training = config(tmp_path, weight_ema=0.5).training
    model = scaled_model()
    model.compile(build_optimizer(training, 10), "mse")
    assert unscaled(model.optimizer).use_ema
    model.optimizer.build(model.trainable_variables)
    (average, _) = unscaled(model.optimizer)._model_variables_moving_average
    average.assign([[1.0], [2.0], [3.0]])
    trained = model.get_weights()
    with averaged_weights(model):
        np.testing.assert_array_equal(model.get_weights()[0], average)
    np.testing.assert_array_equal(model.get_weights()[0], trained[0])


def test_xla_compiles_the_step_if_asked(folder, tmp_path, monkeypatch):  # noqa: F811
    asked = []
    original = HierarchicalGroupwiseRanker.compile

    def compile_(self, *args, **kwargs):
        asked.append(kwargs.get("jit_compile"))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(HierarchicalGroupwiseRanker, "compile", compile_)
    by_xla = config(folder, epochs=1)
    by_xla = by_xla.override(compute={"jit_compile": True})
    run = train(by_xla, tmp_path / "run", verbose=0)
    assert asked[0] is True
    assert np.isfinite(list(run.metrics.values())).all()


def test_ops_are_deterministic_in_training_alone(
    folder,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    seen = []
    original = trainer.build_model

    def build_model(*args):
        seen.append(framework.is_op_determinism_enabled())
        return original(*args)

    monkeypatch.setattr(trainer, "build_model", build_model)
    settings = config(folder, epochs=1)
    settings = settings.override(compute={"deterministic": True}, ranker__dropout=0.3)
    runs = [train(settings, tmp_path / name, verbose=0) for name in ("one", "two")]
    assert seen == [True, True]
    assert not framework.is_op_determinism_enabled()
    assert_equal_weights(*runs)


def test_determinism_that_was_there_stays():
    with deterministic_ops(True):
        with deterministic_ops(True):
            pass
        assert framework.is_op_determinism_enabled()
    with deterministic_ops(False):
        assert not framework.is_op_determinism_enabled()


def test_a_batch_in_parts_trains_as_the_whole(folder, plain, tmp_path):  # noqa: F811
    settings = config(folder).override(compute={"gradient_accumulation": 3})
    run = train(settings, tmp_path / "run", verbose=0)
    for one, other in zip(weights(run), weights(plain), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
    for ours, theirs in zip(history(run.path), history(plain.path), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_trace_is_written_if_asked(folder, tmp_path):  # noqa: F811
    settings = config(folder, epochs=1)
    run = train(settings, tmp_path / "run", verbose=0, profile=True)
    traces = run.path.glob("tensorboard/**/plugins/profile/*/*.xplane.pb")
    assert sum(trace.stat().st_size for trace in traces) > 0


@pytest.mark.parametrize(
    ("trained", "steps", "epochs", "expected"),
    [
        (0, 100, 1, (11, 20)),
        (0, 6, 3, (11, 18)),
        (0, 4, 1, (4, 4)),
        (95, 100, 2, (5, 5)),
    ],
)
def test_the_trace_is_of_steps_that_there_are(
    tmp_path, trained, steps, epochs, expected
):
    fit = resumable_fit.ResumableFit(
        None,
        config(tmp_path, epochs=epochs).training,
        steps=steps,
        batches=None,
        validation=None,
        verbose=0,
    )
    assert fit._profiled(trained) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("compute: {precision: half}", r"compute\.precision: .*got 'half'"),
        ("compute: {gradient_accumulation: 0}", "gradient_accumulation: .*got 0"),
    ],
)
def test_wrong_switches_are_named(text, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_yaml(text)
