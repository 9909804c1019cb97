"""A loss of TensorFlow Ranking inside the groups of every level."""

import numpy as np
import tensorflow as tf

import hgr_tf

try:
    import tensorflow_ranking as tfr
except ImportError:
    raise SystemExit(
        "This example needs tensorflow-ranking, which works with Keras 2 alone: take "
        "Python 3.10 or 3.11. hgr_tf.losses has ApproxNDCG, ListMLE and LambdaLoss of "
        "its own for every Keras."
    ) from None

rng = np.random.default_rng(0)
codes = rng.integers(4, size=(512, 3))  # of each row's user, three levels deep
labels = rng.integers(2, size=512).astype("float32")
logits = tf.Variable(rng.normal(size=512).astype("float32"))

loss = hgr_tf.losses.HierarchicalGroupwiseLoss(
    num_levels=3, listwise=tfr.keras.losses.ApproxNDCGLoss(ragged=True)
)
optimizer = tf.keras.optimizers.Adam(0.1)
values = []
for _ in range(20):
    with tf.GradientTape() as tape:
        value = loss(labels, logits, tf.constant(codes))
    optimizer.apply_gradients([(tape.gradient(value, logits), logits)])
    values.append(float(value))
print(f"ApproxNDCG, weighted over three levels: {values[0]:.4f} -> {values[-1]:.4f}")
