import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.layers import RowEmbedding
from hgr_tf.optimizers import LazyAdam, RowwiseAdagrad
from hgr_tf.testing import two_replicas

RATE = 0.1


def table_of(values):
    layer = RowEmbedding(*np.shape(values))
    layer.build((None,))
    layer.set_weights([np.asarray(values, np.float32)])
    return layer


def table_model():
    ids = tf.keras.Input((1,), dtype="int64")
    rows = tf.keras.layers.Flatten()(RowEmbedding(6, 2)(ids))
    return tf.keras.Model(ids, tf.keras.layers.Dense(1)(rows))


def step(optimizer, layer, ids, pull):
    """One step on sum(pull * looked-up rows)."""
    with tf.GradientTape() as tape:
        rows = layer(tf.convert_to_tensor(ids))
        loss = tf.reduce_sum(rows * tf.cast(pull, tf.float32))
    gradients = tape.gradient(loss, layer.trainable_variables)
    optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))
    return gradients


def reference(table, steps, rate=RATE, b1=0.9, b2=0.999, eps=1e-7):
    table = np.array(table, np.float64)
    m, v = np.zeros_like(table), np.zeros_like(table)
    for t, (ids, pull) in enumerate(steps, start=1):
        gradient = np.zeros_like(table)
        np.add.at(gradient, ids, pull)
        rows = np.unique(ids)
        g = gradient[rows]
        m[rows] = b1 * m[rows] + (1 - b1) * g
        v[rows] = b2 * v[rows] + (1 - b2) * g**2
        correction = np.sqrt(1 - b2**t) / (1 - b1**t)
        table[rows] -= rate * correction * m[rows] / (np.sqrt(v[rows]) + eps)
    return table


@pytest.mark.parametrize("in_graph", [False, True])
def test_touched_rows_follow_the_formula_and_others_stay(in_graph):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(9, 3))
    layer, optimizer = table_of(start), LazyAdam(RATE)
    optimizer.build(layer.trainable_variables)
    run = tf.function(step) if in_graph else step
    steps = [
        (rng.integers(0, 7, 12), rng.normal(size=(12, 3)).astype(np.float32))
        for _ in range(5)
    ]
    for ids, pull in steps:
        run(optimizer, layer, tf.constant(ids), tf.constant(pull))
    (trained,) = layer.get_weights()
    np.testing.assert_allclose(trained, reference(start, steps), atol=1e-5)
    np.testing.assert_array_equal(trained[7:], start[7:].astype(np.float32))


def test_the_gradient_of_a_row_embedding_is_rows():
    layer = table_of(np.ones((5, 2)))
    (gradient,) = step(LazyAdam(RATE), layer, [3, 3, 1], np.ones((3, 2)))
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.indices.shape == [3]


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.0}])
@pytest.mark.parametrize("make", [LazyAdam, RowwiseAdagrad])
def test_no_op_of_a_step_reads_or_writes_a_whole_table(make, options):
    layer, optimizer = table_of(np.ones((997, 3))), make(RATE, **options)
    optimizer.build(layer.trainable_variables)
    run = tf.function(lambda ids: step(optimizer, layer, ids, np.ones((4, 3))))
    graph = run.get_concrete_function(tf.constant([3, 5, 3, 996])).graph
    shapes = {
        tuple(output.shape)
        for operation in graph.get_operations()
        for output in operation.outputs
        if output.dtype.is_floating and output.shape.rank
    }
    assert shapes and not any(997 in shape for shape in shapes)


def test_rows_touched_in_every_step_train_as_adam_trains_them():
    rng = np.random.default_rng(1)
    start, ids = rng.normal(size=(4, 2)), np.arange(4)
    lazy, adam = table_of(start), table_of(start)
    ours, kerass = LazyAdam(RATE), tf.keras.optimizers.Adam(RATE)
    for _ in range(4):
        pull = rng.normal(size=(4, 2))
        step(ours, lazy, ids, pull)
        step(kerass, adam, ids, pull)
    np.testing.assert_allclose(lazy.get_weights(), adam.get_weights(), atol=1e-5)


def test_dense_weights_train_exactly_as_adam_trains_them():
    x, y = np.ones((8, 3), np.float32), np.arange(8, dtype=np.float32)[:, None]
    trained = []
    for optimizer in (LazyAdam(RATE), tf.keras.optimizers.Adam(RATE)):
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, "tanh")])
        model.build((None, 3))
        model.set_weights([np.full((3, 1), 0.1, np.float32), np.zeros(1, np.float32)])
        model.compile(optimizer, "mse")
        model.fit(x, y, epochs=3, verbose=0)
        trained.append(model.get_weights())
    for ours, kerass in zip(*trained, strict=True):
        np.testing.assert_array_equal(ours, kerass)


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_clipping_sums_the_slices_of_a_row_first_and_keeps_rows(option):
    # Row 2 is pulled by 3 and -2: what is clipped is 1, under the limit.
    start = np.zeros((4, 1))
    layer, optimizer = table_of(start), LazyAdam(RATE, **{option: 1.5})
    step(optimizer, layer, [2, 2], [[3.0], [-2.0]])
    (trained,) = layer.get_weights()
    expected = reference(start, [([2, 2], [[3.0], [-2.0]])])
    np.testing.assert_allclose(trained, expected, atol=1e-5)
    layer = table_of(start)
    optimizer = LazyAdam(RATE, **{option: 1.5})
    (clipped,) = optimizer._clip_gradients(
        [tf.IndexedSlices(tf.constant([[2.0], [4.0]]), tf.constant([1, 1]), [4, 1])]
    )
    assert isinstance(clipped, tf.IndexedSlices)
    np.testing.assert_allclose(clipped.values, [[1.5]], rtol=1e-6)


@pytest.mark.parametrize("option", ["amsgrad", "use_ema", "weight_decay"])
def test_options_that_change_every_row_are_refused_by_name(option):
    with pytest.raises(ValueError, match=f"`{option}` changes every row"):
        LazyAdam(**{option: 0.1})


def test_config_makes_an_equal_optimizer_and_state_is_saved(tmp_path):
    model = table_model()
    model.compile(LazyAdam(0.05, beta_1=0.8, global_clipnorm=2.0), "mse")
    x, y = np.array([[1], [4], [1], [5]]), np.ones((4, 1), np.float32)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for one in (model, again):
        one.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for ours, loaded in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, loaded)


@pytest.mark.parametrize("make", [LazyAdam, RowwiseAdagrad])
def test_two_replicas_train_as_one_process(make):
    # Both halves of a batch touch row 1.
    x = np.array([[1], [2], [1], [3]])
    y = np.arange(4, dtype=np.float32)[:, None]
    trained = []
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        with strategy.scope():
            model = table_model()
            weights = [np.full(w.shape, 0.1, np.float32) for w in model.get_weights()]
            model.set_weights(weights)
            model.compile(make(RATE), "mse")
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4).repeat(3)
        model.fit(data, verbose=0)
        trained.append(model.get_weights())
    for one, two in zip(*trained, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
