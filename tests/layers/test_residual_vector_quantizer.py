import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.testing import two_replicas
from hgr_tf.testing.replicas import copies

RANDOM = np.random.default_rng(5)
EMBEDDINGS = RANDOM.normal(size=(64, 6)).astype(np.float32)
BOOKS = [RANDOM.normal(size=(k, 6)).astype(np.float32) for k in (4, 3)]


def quantizer(**kwargs):
    kwargs = {"codebook_size": [4, 3], "initializer": BOOKS, **kwargs}
    return ResidualVectorQuantizer(2, **kwargs)


def walk(embeddings, books, distance="squared_l2"):
    """Codes, residuals before each level, and the sum of the codewords."""
    residual, codes, residuals = np.float64(embeddings), [], []
    for book in np.float64(books[0]), np.float64(books[1]):
        residuals.append(residual)
        if distance == "cosine":
            unit = book / np.linalg.norm(book, axis=1, keepdims=True)
            code = np.argmax(residual @ unit.T, axis=1)
        else:
            code = np.argmin(((residual[:, None] - book) ** 2).sum(2), axis=1)
        codes.append(code)
        residual = residual - book[code]
    return np.stack(codes, 1), residuals, embeddings - residual


@pytest.mark.parametrize("distance", ["squared_l2", "cosine"])
def test_codes_and_quantized_equal_numpy(distance):
    layer = quantizer(distance=distance)
    out = layer(EMBEDDINGS)
    codes, _, quantized = walk(EMBEDDINGS, BOOKS, distance)
    np.testing.assert_array_equal(out.codes, codes)
    np.testing.assert_allclose(out.quantized, quantized, atol=1e-5)
    left = np.square(EMBEDDINGS - quantized).sum(1).mean()
    np.testing.assert_allclose(out.errors[1], left, rtol=1e-5)
    np.testing.assert_array_equal(layer.encode(EMBEDDINGS), codes)
    np.testing.assert_allclose(layer.decode(codes), quantized, atol=1e-5)
    np.testing.assert_allclose(layer.decode(codes[:, :1]), BOOKS[0][codes[:, 0]])


@given(
    embeddings=arrays(
        "float32", (12, 6), elements=st.floats(-3, 3, width=32, allow_subnormal=False)
    ),
    decay=st.sampled_from([0.0, 0.5, 0.99]),
)
@settings(max_examples=20)
def test_ema_step_equals_numpy(embeddings, decay):
    layer = quantizer(decay=decay, expiry_threshold=0.0)
    layer(embeddings, training=True)
    codes, residuals, _ = walk(embeddings, BOOKS)
    for level, book in enumerate(BOOKS):
        hits = np.eye(len(book))[codes[:, level]]
        counts = decay + (1 - decay) * hits.sum(0)
        sums = decay * book + (1 - decay) * hits.T @ residuals[level]
        total = counts.sum()
        smoothed = (counts + 1e-5) / (total + len(book) * 1e-5) * total
        np.testing.assert_allclose(layer.usage[level], counts, rtol=1e-5)
        expected = sums / smoothed[:, None]
        np.testing.assert_allclose(
            layer.codebooks[level], expected, rtol=1e-4, atol=1e-5
        )


@given(
    batches=st.lists(
        arrays(
            "float32",
            (8, 6),
            elements=st.floats(-3, 3, width=32, allow_subnormal=False),
        ),
        min_size=2,
        max_size=4,
    ),
    decay=st.sampled_from([0.3, 0.9]),
    distance=st.sampled_from(["squared_l2", "cosine"]),
)
@settings(max_examples=20)
def test_every_step_moves_used_codewords_and_replaces_the_others(
    batches, decay, distance
):
    layer = quantizer(decay=decay, distance=distance, expiry_threshold=0.4)
    layer.build((None, 6))
    for batch in batches:
        books, usage = layer.codebooks, [u.numpy() for u in layer.usage]
        sums = np.split(layer._books.sums.numpy(), [4])
        expired = layer.expired.numpy()
        codes = layer(batch, training=True).codes.numpy()
        residual = np.float64(batch)
        for level, book in enumerate(books):
            hits = np.eye(len(book))[codes[:, level]]
            counts = decay * usage[level] + (1 - decay) * hits.sum(0)
            moved = decay * sums[level] + (1 - decay) * hits.T @ residual
            total = counts.sum()
            smoothed = (counts + 1e-5) / (total + len(book) * 1e-5) * total
            dead = counts < 0.4 * counts.mean()
            np.testing.assert_allclose(
                layer.codebooks[level][~dead],
                (moved / smoothed[:, None])[~dead],
                rtol=1e-3,
                atol=1e-4,
            )
            for revived in layer.codebooks[level][dead]:
                assert np.abs(residual - revived).max(axis=1).min() < 1e-4
            expected = np.where(dead, counts.mean(), counts)
            np.testing.assert_allclose(layer.usage[level], expected, rtol=1e-4)
            assert layer.expired[level] - expired[level] == dead.sum()
            residual = residual - np.float64(book)[codes[:, level]]


def test_straight_through_passes_the_gradient_unchanged():
    layer, weights = quantizer(), RANDOM.normal(size=(64, 6)).astype(np.float32)
    inputs = tf.constant(EMBEDDINGS)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs, training=True).quantized * weights)
    np.testing.assert_allclose(tape.gradient(loss, inputs), weights)


def test_rotation_turns_and_scales_the_gradient():
    layer = quantizer(gradient_estimator="rotation")
    inputs, upstream = tf.constant(EMBEDDINGS), RANDOM.normal(size=(64, 6))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        quantized = layer(inputs).quantized
        loss = tf.reduce_sum(quantized * tf.cast(upstream, tf.float32))
    gradient = tape.gradient(loss, inputs).numpy()
    for e, q, g, u in zip(
        EMBEDDINGS, quantized.numpy(), gradient, upstream, strict=True
    ):
        a, b = e / np.linalg.norm(e), q / np.linalg.norm(q)
        r = (a + b) / np.linalg.norm(a + b)
        rotation = np.eye(6) - 2 * np.outer(r, r) + 2 * np.outer(b, a)
        scaled = np.linalg.norm(q) / np.linalg.norm(e) * rotation
        np.testing.assert_allclose(scaled @ e, q, atol=1e-4)
        np.testing.assert_allclose(g, scaled.T @ u, rtol=1e-3, atol=1e-4)


def test_rotation_without_a_direction_falls_back_to_straight_through():
    inputs = tf.zeros([3, 6])
    layer = quantizer(gradient_estimator="rotation")
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs).quantized)
    np.testing.assert_allclose(tape.gradient(loss, inputs), 1.0)


def test_commitment_loss_and_its_gradient():
    layer, inputs = quantizer(commitment_cost=0.25), tf.constant(EMBEDDINGS)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = layer(inputs, training=True).loss
    difference = EMBEDDINGS - walk(EMBEDDINGS, BOOKS)[2]
    expected = 0.25 * np.square(difference).sum(1).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(loss, inputs), 0.5 * difference / 64, atol=1e-6
    )


def test_gradient_codebooks_move_toward_their_residuals():
    layer = quantizer(learning="gradient", expiry_threshold=0.0)
    optimizer = tf.keras.optimizers.SGD(0.5)
    errors = []
    for _ in range(40):
        with tf.GradientTape() as tape:
            out = layer(EMBEDDINGS, training=True)
        variables = layer.trainable_variables
        gradients = tape.gradient(out.loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        errors.append(float(out.errors[-1]))
    assert errors[-1] < 0.8 * errors[0]


def test_starts_by_kmeans_at_the_given_step():
    centers = 10 * RANDOM.normal(size=(4, 6)).astype(np.float32)
    labels = RANDOM.integers(0, 4, 400)
    data = centers[labels] + 0.1 * RANDOM.normal(size=(400, 6)).astype(np.float32)
    layer = ResidualVectorQuantizer(2, 4, start_step=3, expiry_threshold=0.0)
    step = tf.function(lambda x: layer(x, training=True))
    for batch in np.split(data, 4)[:2]:
        step(tf.constant(batch))
        assert not layer.started
    step(tf.constant(data[200:300]))
    assert layer.started
    found = layer.codebooks[0]
    nearest = np.linalg.norm(centers[:, None] - found, axis=2).min(1)
    assert (nearest < 0.2).all()


def test_before_the_start_codebooks_do_not_move():
    layer = ResidualVectorQuantizer(1, 4, start_step=100)
    layer(EMBEDDINGS)
    before = layer.codebooks[0]
    layer(EMBEDDINGS, training=True)
    np.testing.assert_array_equal(layer.codebooks[0], before)


def test_expired_code_is_replaced_and_its_ema_state_reset():
    books = [np.concatenate([BOOKS[0][:3], np.full((1, 6), 1e3, np.float32)]), BOOKS[1]]
    layer = quantizer(initializer=books, decay=0.5, expiry_threshold=0.5)
    for _ in range(4):
        layer(EMBEDDINGS, training=True)
    assert layer.expired[0] > 0
    revived = layer.codebooks[0][3]
    assert np.abs(revived).max() < 10
    # Its average starts at the revived codeword, with the mean usage.
    sums = layer._books.sums.numpy()[3]
    np.testing.assert_allclose(sums / layer.usage[0][3], revived, rtol=1e-3, atol=1e-3)
    assert len(np.unique(layer.encode(EMBEDDINGS)[:, 0])) == 4


def test_counts_start_at_one_and_sums_at_the_codebook():
    layer = quantizer(decay=0.99)
    layer(EMBEDDINGS[:1], training=True)
    for book, start in zip(layer.codebooks, BOOKS, strict=True):
        assert np.abs(book - start).max() < 0.1 * np.abs(start).max()


def test_inference_changes_no_state():
    layer = quantizer()
    layer(EMBEDDINGS, training=True)
    before = [v.numpy() for v in layer.variables]
    layer(EMBEDDINGS, training=False)
    for variable, value in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_rows_are_counted_and_never_reach_the_codebooks(bad):
    poisoned = np.concatenate([EMBEDDINGS, np.full((2, 6), bad, np.float32)])
    for start in (BOOKS, "kmeans"):
        clean, dirty = quantizer(initializer=start), quantizer(initializer=start)
        clean(EMBEDDINGS, training=True)
        out = dirty(poisoned, training=True)
        assert dirty.skipped == 2
        assert np.isfinite(out.loss) and np.isfinite(out.errors).all()
        if start is BOOKS:
            for a, b in zip(clean.codebooks, dirty.codebooks, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)
        assert all(np.isfinite(book).all() for book in dirty.codebooks)


def test_buffer_of_nothing_finite_waits():
    layer = ResidualVectorQuantizer(1, 2)
    layer(np.full((3, 6), np.nan, np.float32), training=True)
    assert not layer.started
    layer(EMBEDDINGS, training=True)
    assert layer.started


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("size", [0, 1])
def test_tiny_batches(size, jit_compile):
    layer = quantizer(expiry_threshold=0.5)
    step = tf.function(
        lambda x: layer(x, training=True),
        input_signature=[tf.TensorSpec([None, 6])],
        jit_compile=jit_compile,
    )
    out = step(tf.constant(EMBEDDINGS[:size]))
    assert out.codes.shape == (size, 2)
    assert np.isfinite(out.errors).all() and np.isfinite(out.loss)
    if size == 0:
        np.testing.assert_allclose(layer.codebooks[0], BOOKS[0])
        np.testing.assert_array_equal(layer.expired, 0)


def test_unique_users_give_the_same_result():
    users = RANDOM.integers(0, 10, 64) * 10**12
    table = RANDOM.normal(size=(10, 6)).astype(np.float32)
    embeddings = table[users // 10**12]
    every, distinct = quantizer(commitment_cost=0.1), quantizer(commitment_cost=0.1)
    a = every(embeddings, training=True)
    b = distinct(embeddings, training=True, user_ids=users)
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_allclose(a.quantized, b.quantized)
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-5)
    for x, y in zip(every.codebooks, distinct.codebooks, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


def test_jit_equals_eager():
    eager, jitted = quantizer(), quantizer()
    step = tf.function(lambda x: jitted(x, training=True), jit_compile=True)
    for _ in range(3):
        a, b = eager(EMBEDDINGS, training=True), step(tf.constant(EMBEDDINGS))
    np.testing.assert_array_equal(a.codes, b.codes)
    for x, y in zip(eager.codebooks, jitted.codebooks, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_inputs_keep_float32_codebooks(dtype):
    layer = quantizer(dtype=tf.keras.mixed_precision.Policy(f"mixed_{dtype}"))
    out = layer(tf.cast(EMBEDDINGS, dtype), training=True)
    assert out.quantized.dtype == dtype
    assert layer._books.codewords.dtype == "float32"
    assert out.loss.dtype == tf.float32


@pytest.mark.parametrize("start", ["kmeans", "given"])
def test_two_replicas_equal_one_with_the_whole_batch(start):
    kwargs = {"initializer": BOOKS} if start == "given" else {"initializer": "kmeans"}
    kwargs |= {"expiry_threshold": 0.9, "decay": 0.5}
    strategy = two_replicas()
    with strategy.scope():
        layer = quantizer(**kwargs)
        layer.build(EMBEDDINGS.shape)  # Keras 3 makes no variables in a function
    halves = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant(np.split(EMBEDDINGS, 2)[c.replica_id_in_sync_group])
    )
    step = tf.function(
        lambda: strategy.run(lambda x: layer(x, training=True).loss, args=(halves,))
    )
    for _ in range(5):
        step()
    assert int(np.sum(layer.expired)) > 0
    for name in ("codewords", "counts", "sums", "expired", "step"):
        first, second = copies(strategy, getattr(layer._books, name))
        np.testing.assert_array_equal(first, second)
    if start == "given":
        alone = quantizer(**{**kwargs, "expiry_threshold": 0.0})
        with strategy.scope():
            layer = quantizer(**{**kwargs, "expiry_threshold": 0.0})
            layer.build(EMBEDDINGS.shape)
        tf.function(
            lambda: strategy.run(lambda x: layer(x, training=True).loss, args=(halves,))
        )()
        alone(EMBEDDINGS, training=True)
        for a, b in zip(layer.codebooks, alone.codebooks, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_survives_saving_in_the_middle_of_training(tmp_path):
    inputs = tf.keras.Input((6,))
    layer = ResidualVectorQuantizer(2, 4, start_step=3, name="quantizer")
    model = tf.keras.Model(inputs, layer(inputs).codes)
    layer(EMBEDDINGS, training=True)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    other = again.get_layer("quantizer")
    for _ in range(4):
        layer(EMBEDDINGS, training=True)
        other(EMBEDDINGS, training=True)
    assert layer.started and other.started
    for a, b in zip(layer.codebooks, other.codebooks, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name", ["codebooks", "usage", "started", "expired", "skipped"]
)
def test_what_is_not_there_before_the_build_is_named(name):
    with pytest.raises(ValueError, match="no codebooks before it is called"):
        getattr(quantizer(), name)


def test_fit_sets_codebooks_whose_codes_the_layer_gives():
    table = RANDOM.normal(size=(500, 6)).astype(np.float32)
    layer = ResidualVectorQuantizer(3, 8).fit(table)
    assert layer.started
    out = layer(table)
    np.testing.assert_array_equal(layer.encode(table), out.codes)
    assert all(np.diff(out.errors) < 0)
    with pytest.raises(ValueError, match="`embeddings` must be finite"):
        layer.fit(np.full((3, 6), np.nan))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_fit_takes_tensors_of_any_float_dtype(dtype):
    table = tf.cast(EMBEDDINGS, dtype)
    layer, expected = quantizer().fit(table), quantizer().fit(table.numpy())
    for book, other in zip(layer.codebooks, expected.codebooks, strict=True):
        np.testing.assert_array_equal(book, other)


@pytest.mark.parametrize("shape", [(0, 6), (6,), (2, 3, 6), (8, 5)])
def test_fit_names_embeddings_of_another_shape(shape):
    layer = quantizer()
    layer.build((None, 6))
    with pytest.raises(ValueError, match=r"`embeddings` must be .* got \("):
        layer.fit(np.ones(shape))


@pytest.mark.parametrize(
    "weights",
    [np.zeros(64), np.full(64, -1), np.full(64, np.nan), np.ones(3), np.ones((64, 1))],
    ids=["zeros", "negative", "nan", "too few", "a column"],
)
def test_fit_names_bad_weights(weights):
    with pytest.raises(ValueError, match="`sample_weight` must be \\[64\\] finite"):
        quantizer().fit(EMBEDDINGS, weights)


def test_fit_weighs_its_rows():
    table = RANDOM.normal(size=(300, 6)).astype(np.float32)
    kept = np.arange(300) < 200
    far = np.where(kept[:, None], table, table + 100.0)
    layer = ResidualVectorQuantizer(1, 4).fit(far, sample_weight=kept)
    assert np.abs(layer.codebooks[0]).max() < 10
    # Each codeword is the weighted mean of what it codes.
    weights = RANDOM.uniform(0.5, 2.0, 300)
    layer = ResidualVectorQuantizer(1, 4).fit(table, weights, iterations=200)
    hits = np.eye(4)[layer.encode(table)[:, 0]] * weights[:, None]
    means = hits.T @ table / hits.sum(0)[:, None]
    np.testing.assert_allclose(layer.codebooks[0], means, atol=1e-3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_levels": 0}, "`num_levels` must be a positive int, got 0"),
        ({"num_levels": 2.5}, "`num_levels` must be a positive int, got 2.5"),
        ({"codebook_size": [4, 4, 4]}, "`codebook_size` must be .*4, 4, 4"),
        ({"distance": "l1"}, "`distance` must be one of .*got 'l1'"),
        ({"learning": "x"}, "`learning` must be"),
        ({"initializer": "x"}, "`initializer` must be"),
        ({"decay": 1.0}, "`decay` must be in \\[0, 1\\), got 1.0"),
        ({"expiry_threshold": -1}, "`expiry_threshold` must be"),
        ({"gradient_estimator": "x"}, "`gradient_estimator` must be one of"),
        ({"start_step": 0}, "`start_step` must be"),
        ({"commitment_cost": -1}, "`commitment_cost` must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResidualVectorQuantizer(**{"num_levels": 2, "codebook_size": 4, **arguments})


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("books", [[BOOKS[0], BOOKS[0]], [BOOKS[0]], [], [1, 2]])
def test_codebooks_of_another_shape_are_refused(built, books):
    layer = quantizer()
    if built:
        layer.build((None, 6))
    with pytest.raises(ValueError, match="codebooks must have shapes"):
        layer.set_codebooks(books)
    assert layer.built == built


def test_codebooks_of_another_dim_are_refused():
    layer = quantizer()
    layer.set_codebooks(BOOKS)
    with pytest.raises(ValueError, match=r"codebooks must have shapes .*4, 6.*4, 5"):
        layer.set_codebooks([book[:, :5] for book in BOOKS])


@pytest.mark.parametrize("codes", [[[0, 1, 0]], np.zeros((1, 0), int), [0, 1]])
def test_codes_of_another_shape_are_not_decoded(codes):
    layer = quantizer()
    layer.set_codebooks(BOOKS)
    with pytest.raises(ValueError, match=r"`codes` must be .* l from 1 to 2, got"):
        layer.decode(codes)


def test_embeddings_of_another_shape_are_refused():
    layer = quantizer()
    layer.build((None, 6))
    for embeddings in (EMBEDDINGS[0], EMBEDDINGS[None], EMBEDDINGS[:, :5]):
        with pytest.raises(ValueError, match="`embeddings` must be \\[batch, 6\\]"):
            layer.encode(embeddings)
    with pytest.raises(ValueError, match="`embeddings` must be \\[batch, dim\\]"):
        quantizer()(tf.zeros([2, 3, 6]))
