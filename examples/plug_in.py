"""Plug the hierarchical group losses into a Keras ranker you already have."""

import numpy as np
import tensorflow as tf

import hgr_tf

tf.keras.utils.set_random_seed(0)

# -- What you have: a functional ranker that gives logits, and its data. -------
user = tf.keras.Input((), name="user", dtype="int64")
item = tf.keras.Input((), name="item", dtype="int64")
embedded = [
    tf.keras.layers.Embedding(100, 16, name="user_embedding")(user),
    tf.keras.layers.Embedding(100, 16)(item),
]
hidden = tf.keras.layers.Dense(32, "relu")(tf.keras.layers.Concatenate()(embedded))
logit = tf.keras.layers.Dense(1)(hidden)
ranker = tf.keras.Model({"user": user, "item": item}, logit)

rng = np.random.default_rng(0)
x = {"user": rng.integers(100, size=20_000), "item": rng.integers(100, size=20_000)}
liked = x["user"] % 4 == x["item"] % 4  # four tastes, four kinds of items
y = (rng.random(20_000) < np.where(liked, 0.7, 0.2)).astype("float32")

# -- What you add. -------------------------------------------------------------
model = hgr_tf.HierarchicalGroupwiseRanker(
    ranker,
    user_embedding="user_embedding",  # the layer that makes it
    quantizer=hgr_tf.layers.ResidualVectorQuantizer(
        num_levels=3,
        codebook_size=8,
        start_step=16,  # k-means after half an epoch of LogLoss
    ),
    ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(num_levels=3),
    quantization_dropout=0.25,
    user_id="user",  # the input that tells users apart, for GAUC
)
model.compile(tf.keras.optimizers.Adam(0.01), metrics=[hgr_tf.metrics.GroupAUC()])
model.fit(x, y, batch_size=512, epochs=10, validation_split=0.2, verbose=2)
model.ranker.save("ranker.keras")  # trained, and nothing of the quantizer in it

# -- To compare with: LogLoss alone, with the same metrics. ----------------------
plain = hgr_tf.HierarchicalGroupwiseRanker(
    tf.keras.models.clone_model(ranker), user_id="user"
)
plain.compile(tf.keras.optimizers.Adam(0.01), metrics=[hgr_tf.metrics.GroupAUC()])
plain.fit(x, y, batch_size=512, epochs=10, validation_split=0.2, verbose=2)
