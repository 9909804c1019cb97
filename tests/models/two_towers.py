"""A ranker of one's own, for the tests of what takes any ranker."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("tests")
class TwoTowers(tf.keras.Model):
    """A subclassed ranker that offers the halves itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.users = tf.keras.layers.Embedding(30, 8)
        self.items = tf.keras.layers.Embedding(20, 8)

    def embed_users(self, inputs, training=False):
        return self.users(inputs["user"])

    def rank(self, inputs, user_embeddings, training=False):
        return tf.reduce_sum(user_embeddings * self.items(inputs["item"]), axis=1)

    def call(self, inputs, training=False):
        return self.rank(inputs, self.embed_users(inputs), training)
