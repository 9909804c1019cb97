"""Hierarchical group losses in a model of TensorFlow Recommenders."""

import numpy as np
import tensorflow as tf

import hgr_tf

try:
    import tensorflow_recommenders as tfrs
except ImportError:
    raise SystemExit(
        "This example needs tensorflow-recommenders, which works with Keras 2 alone: "
        "take Python 3.10 or 3.11, or set TF_USE_LEGACY_KERAS=1. The wrapper "
        "HierarchicalGroupwiseRanker trains models of every Keras."
    ) from None


class Ranker(tfrs.Model):
    """Dot products of user and item embeddings, with a bias for each item."""

    def __init__(self):
        super().__init__()
        self.user = tf.keras.layers.Embedding(200, 16)
        self.item = tf.keras.layers.Embedding(100, 16)
        self.bias = tf.keras.layers.Embedding(100, 1)
        self.task = hgr_tf.models.HierarchicalGroupwiseTask(
            hgr_tf.layers.ResidualVectorQuantizer(num_levels=2, codebook_size=8),
            hgr_tf.losses.HierarchicalGroupwiseLoss(num_levels=2),
            ranking_metrics=[hgr_tf.metrics.GroupAUC()],
        )

    def call(self, inputs):
        """Logits [batch]."""
        affinity = tf.reduce_sum(
            self.user(inputs["user"]) * self.item(inputs["item"]), axis=1
        )
        return affinity + self.bias(inputs["item"])[:, 0]

    def compute_loss(self, inputs, training=False):
        """The task's loss, from the model's own tensors."""
        return self.task(
            inputs["click"],
            self(inputs),
            self.user(inputs["user"]),
            user_ids=inputs["user"],
            training=training,
            compute_metrics=not training,  # sorting all rows takes its time
        )


tf.keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = {"user": rng.integers(200, size=20_000), "item": rng.integers(100, size=20_000)}
liked = x["user"] % 4 == x["item"] % 4  # four tastes, four kinds of items
x["click"] = (rng.random(20_000) < np.where(liked, 0.7, 0.2)).astype("float32")
rows = tf.data.Dataset.from_tensor_slices(x)
train, validation = rows.take(16_000), rows.skip(16_000)

model = Ranker()
model.compile(tf.keras.optimizers.Adam(0.01))
model.fit(
    train.shuffle(16_000, seed=0).batch(512),
    validation_data=validation.batch(512),  # lists, and their loss, grow with it
    epochs=5,
    verbose=2,
)
