"""The optimizer of a run, and evaluation on averaged weights."""

import contextlib

import tensorflow as tf

from hgr_tf.training.config import TrainingConfig


def build_optimizer(config: TrainingConfig, steps: int):
    """Makes the optimizer of a run of `steps` steps in all."""
    schedules = tf.keras.optimizers.schedules
    rate = config.learning_rate
    if config.schedule == "linear":
        rate = schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    elif config.schedule == "cosine":
        rate = schedules.CosineDecay(rate, steps)
    optimizers = {
        "adam": tf.keras.optimizers.Adam,
        "adamw": tf.keras.optimizers.AdamW,
        "adagrad": tf.keras.optimizers.Adagrad,
        "sgd": tf.keras.optimizers.SGD,
    }
    average = {}
    if config.weight_ema is not None:
        average = dict(use_ema=True, ema_momentum=config.weight_ema)
    return optimizers[config.optimizer](rate, **average)


@contextlib.contextmanager
def averaged_weights(model):
    """Puts the optimizer's weight averages into the model, and back after.

    Does nothing where the optimizer keeps none.
    """
    if not getattr(model.optimizer, "use_ema", False):
        yield
        return
    weights = model.trainable_variables
    # Keras offers the averages only to overwrite the weights for good.
    averages = model.optimizer._model_variables_moving_average
    trained = [tf.convert_to_tensor(weight) for weight in weights]
    for weight, average in zip(weights, averages, strict=True):
        weight.assign(average)
    try:
        yield
    finally:
        for weight, value in zip(weights, trained, strict=True):
            weight.assign(value)


class EvaluateAverages(tf.keras.callbacks.Callback):
    """Makes the validation within `fit` see the averaged weights."""

    def on_test_begin(self, logs=None):
        """Swaps the averages in."""
        self._averaged = averaged_weights(self.model)
        self._averaged.__enter__()

    def on_test_end(self, logs=None):
        """Swaps the trained weights back."""
        self._averaged.__exit__(None, None, None)
