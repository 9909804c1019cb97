"""Gradients of a layer beside numeric ones of a numpy reference."""

import numpy as np
import tensorflow as tf


def numeric_gradient(function, x, step=1e-5):
    """Central differences of the sum of what a function of float64 [...] gives."""
    gradient = np.zeros_like(x, dtype=np.float64)
    for index in np.ndindex(x.shape):
        moved = np.array([x, x], np.float64)
        moved[0][index] += step
        moved[1][index] -= step
        above, below = (np.sum(function(each)) for each in moved)
        gradient[index] = (above - below) / (2 * step)
    return gradient


def gradient_of(function, x):
    """Gradient of the sum of the outputs of a function of a float32 tensor."""
    x = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.add_n([tf.reduce_sum(y) for y in tf.nest.flatten(function(x))])
    return tape.gradient(total, x).numpy()
