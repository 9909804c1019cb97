"""A model run in two parts gives what it gives in one."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import dtype_policy
from hgr_tf.functional.graph import input_values
from hgr_tf.functional.shared_part import SharedPart

keras = tf.keras
RANDOM = np.random.default_rng(3)
INPUTS = {
    name: RANDOM.normal(size=(12, width)).astype(np.float32)
    for name, width in {"a": 3, "b": 5, "c": 2, "d": 4}.items()
}


def make_model(dense=None, join=None):
    """A Dense layer on [a, b, c, d], and more of its output and of c."""
    inputs = {k: keras.Input(v.shape[1:], name=k) for k, v in INPUTS.items()}
    parts = [
        keras.layers.Dense(v, name=f"to_{v}")(x)
        for v, x in enumerate(inputs.values(), start=2)
    ]
    joined = (join or keras.layers.Concatenate())(parts)
    hidden = (dense or keras.layers.Dense(7, activation="tanh"))(joined)
    both = keras.layers.Concatenate()([hidden, parts[2]])
    return keras.Model(inputs, keras.layers.Dense(1)(both))


def run_in_parts(model, part, inside, inputs=INPUTS):
    known = input_values(model, inputs)
    own = {id(t): known[id(t)] for t in inside}
    shared = part.run(own)
    others = {k: v for k, v in known.items() if k not in own}
    return part.run_rest(shared, others)


def shared_part(model, names):
    inside = [model.input[name] for name in names]
    return SharedPart(model.outputs[0], inside), inside


@pytest.mark.parametrize(
    "names, splits", [("a", 1), ("d", 1), ("bd", 1), ("acd", 2), ("abcd", 0)]
)
@pytest.mark.parametrize("use_bias", [True, False])
def test_output_and_gradients_are_the_model_s(names, splits, use_bias):
    model = make_model(keras.layers.Dense(7, activation="tanh", use_bias=use_bias))
    part, inside = shared_part(model, names)
    assert len(part._splits) == splits
    results = []
    for run in (lambda: model(INPUTS), lambda: run_in_parts(model, part, inside)):
        with tf.GradientTape() as tape:
            output = run()
            loss = tf.reduce_sum(tf.sin(output))
        results.append([output, *tape.gradient(loss, model.trainable_variables)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


class Doubled(keras.layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)


@pytest.mark.parametrize(
    "dense",
    [
        Doubled(7),
        keras.layers.Dense(7, activity_regularizer="l2"),
        keras.Sequential([keras.layers.Dense(7)]),
    ],
    ids=["subclass", "regularized", "nested"],
)
def test_other_layers_run_whole(dense):
    model = make_model(dense)
    part, inside = shared_part(model, "ab")
    assert part._splits == []
    found = run_in_parts(model, part, inside)
    np.testing.assert_allclose(found, model(INPUTS), rtol=1e-5, atol=1e-6)


def test_what_is_joined_along_another_axis_runs_whole():
    a, b = (keras.Input((3, 4)) for _ in range(2))
    joined = keras.layers.Concatenate(axis=1)([a, b])
    model = keras.Model([a, b], keras.layers.Dense(2)(joined))
    part = SharedPart(model.outputs[0], [model.inputs[0]])
    assert part._splits == []
    values = [RANDOM.normal(size=(5, 3, 4)).astype(np.float32) for _ in range(2)]
    shared = part.run({id(model.inputs[0]): values[0]})
    found = part.run_rest(shared, {id(model.inputs[1]): values[1]})
    np.testing.assert_allclose(found, model(values), rtol=1e-5, atol=1e-6)


def test_shared_rows_may_be_repeated():
    model = make_model()
    part, inside = shared_part(model, "abd")
    once = {k: v[:1] for k, v in INPUTS.items()}
    known = input_values(model, once)
    shared = part.run({id(t): known[id(t)] for t in inside})
    found = part.run_rest(shared, {id(model.input["c"]): INPUTS["c"]}, n=12)
    rows = {k: np.repeat(v, 12, axis=0) for k, v in once.items()} | {"c": INPUTS["c"]}
    np.testing.assert_allclose(found, model(rows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_products_are_of_the_layer_s_precision(precision):
    with dtype_policy(precision):
        model = make_model()
    part, inside = shared_part(model, "ab")
    found = run_in_parts(model, part, inside)
    assert found.dtype == model(INPUTS).dtype
    found, expected = (tf.cast(x, tf.float32) for x in (found, model(INPUTS)))
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)
