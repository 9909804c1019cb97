"""Attention to histories that are shared gives what the model gives row by row."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import dtype_policy
from hgr_tf.functional.graph import input_values
from hgr_tf.functional.shared_part import SharedPart
from hgr_tf.layers import TargetAttention

keras = tf.keras
RANDOM = np.random.default_rng(5)
KEYS = RANDOM.normal(size=(3, 5, 4)).astype(np.float32)
IDS = np.array([[7, 2, 9, 0, 0], [1, 1, 3, 8, 4], [0, 0, 0, 0, 0]])
TARGETS = RANDOM.normal(size=(3 * 4, 4)).astype(np.float32)


def make_model(attention, by_name=False):
    """Attention between other layers, so that its arguments are made, too."""
    target = keras.Input((4,), name="target")
    keys = keras.Input((5, 4), name="keys")
    ids = keras.Input((5,), name="ids", dtype="int64")
    made = keras.layers.Dense(4)(keys)
    if by_name:
        pooled = attention(target, ids=ids, keys=made)
    else:
        pooled = attention(target, made, ids)
    joined = keras.layers.Concatenate()([pooled, target])
    return keras.Model([target, keys, ids], keras.layers.Dense(1)(joined))


def split(model, names=("keys", "ids"), repeated=True):
    inside = [t for t, name in zip(model.inputs, NAMES, strict=True) if name in names]
    return SharedPart(model.outputs[0], inside, repeated=repeated), inside


NAMES = ("target", "keys", "ids")


def run_in_parts(model, histories=3):
    part, inside = split(model)
    assert [each.output for each in part._splits]
    once = [TARGETS[:histories], KEYS[:histories], IDS[:histories]]
    known = input_values(model, once)
    shared = part.run({id(t): known[id(t)] for t in inside})
    targets = tf.constant(TARGETS[: 4 * histories])
    return part.run_rest(shared, {id(model.inputs[0]): targets}, n=tf.constant(4))


def run_rows(model, histories=3):
    repeated = (np.repeat(x[:histories], 4, axis=0) for x in (KEYS, IDS))
    return model([TARGETS[: 4 * histories], *repeated])


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("hidden_units", [(), (6,), (6, 3)])
@pytest.mark.parametrize("histories", [1, 3])
def test_output_is_the_model_s(hidden_units, normalize, histories):
    model = make_model(TargetAttention(hidden_units, normalize))
    found = run_in_parts(model, histories)
    np.testing.assert_allclose(found, run_rows(model, histories), rtol=1e-4, atol=1e-5)


def test_arguments_are_known_by_their_names():
    model = make_model(TargetAttention(), by_name=True)
    np.testing.assert_allclose(run_in_parts(model), run_rows(model), atol=1e-5)
    clone = keras.models.clone_model(model)
    np.testing.assert_allclose(run_in_parts(clone), run_rows(clone), atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("hidden_units", [(), (6, 3)])
def test_sums_are_of_the_layer_s_precision(hidden_units, precision):
    with dtype_policy(precision):
        model = make_model(TargetAttention(hidden_units))
    found, expected = run_in_parts(model), run_rows(model)
    assert found.dtype == expected.dtype
    found, expected = (tf.cast(x, tf.float32) for x in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)


def test_without_targets_there_are_no_rows():
    model = make_model(TargetAttention())
    part, inside = split(model)
    known = input_values(model, [TARGETS[:3], KEYS, IDS])
    shared = part.run({id(t): known[id(t)] for t in inside})
    none = {id(model.inputs[0]): tf.zeros([0, 4])}
    assert part.run_rest(shared, none, n=0).shape == (0, 1)


class Doubled(TargetAttention):
    def call(self, target, keys, ids):
        return 2 * super().call(target, keys, ids)


@pytest.mark.parametrize(
    "attention, names, repeated",
    [
        (TargetAttention(), ("keys", "ids"), False),
        (TargetAttention(), ("target", "ids"), True),
        (TargetAttention(), ("keys",), True),
        (Doubled(), ("keys", "ids"), True),
    ],
    ids=["rows of one", "keys of rows", "ids of rows", "subclass"],
)
def test_other_attention_runs_whole(attention, names, repeated):
    part, _ = split(make_model(attention), names, repeated)
    kinds = [type(each).__name__ for each in part._splits]
    assert "SplitAttention" not in kinds
