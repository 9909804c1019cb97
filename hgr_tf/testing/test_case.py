from __future__ import annotations

import functools
import unittest
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hgr_tf.compat import dtype_policy
from hgr_tf.testing import checks, layer_checks, metric_checks, model_checks
from hgr_tf.testing.layer_checks import PRECISIONS, MakeLayer
from hgr_tf.testing.metric_checks import MakeMetric
from hgr_tf.testing.model_checks import MakeModel


class TestCase(unittest.TestCase):
    """What every layer, loss, metric and model of this package must do.

    Replicas need two devices: call `hgr_tf.testing.two_cpu_devices()` in the
    conftest.py.

    Example:
        >>> class ResidualVectorQuantizerTest(hgr_tf.testing.TestCase):
        ...     def test_basics(self):
        ...         self.run_layer_test(
        ...             lambda: ResidualVectorQuantizer(2, 4, initializer="random"),
        ...             (np.ones((8, 16), "float32"),),
        ...         )
    """

    def run_layer_test(
        self,
        make: MakeLayer,
        inputs: Sequence[np.ndarray],
        kwargs: dict[str, Any] | None = None,
        watched: Iterable[int] = (0,),
        jit_compile: bool = True,
        splits_rows: bool = True,
    ) -> None:
        """Checks call, gradients, config, files, graph, precisions, replicas.

        Args:
            make: Function that makes the layer.
            inputs: Arguments of a call, a tuple of arrays [batch, ...] of an even
                number of rows.
            kwargs: Keyword arguments of a call.
            watched: Indices of the inputs that must get a gradient.
            jit_compile: Whether the layer must compile under XLA.
            splits_rows: Whether two replicas see half of the rows each; otherwise
                both see all.
        """
        inputs, kwargs = checks.tensors(tuple(inputs)), kwargs or {}
        layer = make()
        call = functools.partial(layer, **kwargs)
        checks.check_finite(call(*inputs))
        checks.check_gradients(call, inputs, watched, layer.trainable_variables)
        layer_checks.check_restored(layer, inputs, kwargs)
        checks.check_saved_model(layer, call, inputs)
        checks.check_graph(call, inputs)
        if jit_compile:
            checks.check_xla(call, inputs)
        for precision in PRECISIONS:
            layer_checks.check_layer_precision(make, inputs, kwargs, watched, precision)
        layer_checks.check_layer_replicas(make, inputs, kwargs, splits_rows)

    def run_loss_test(
        self, make: MakeLayer, inputs: Sequence[np.ndarray], jit_compile: bool = True
    ) -> None:
        """Checks a loss as a layer, its sample weights, and batches of one class.

        Args:
            make: Function that makes the loss, a layer called as
                loss(labels, logits, *groups, sample_weight=None).
            inputs: (labels, logits, *groups), arrays [batch, ...] of an even
                number of rows.
            jit_compile: Whether the loss must compile under XLA.
        """
        self.run_layer_test(make, inputs, watched=(1,), jit_compile=jit_compile)
        inputs = checks.tensors(tuple(inputs))
        loss = make()
        value = loss(*inputs)
        self.assertEqual(value.shape, ())
        self.assertEqual(value.dtype, tf.float32)
        layer_checks.check_masked_rows(loss, inputs)
        layer_checks.check_nothing_to_rank(loss, inputs)

    def run_metric_test(
        self,
        make: MakeMetric,
        inputs: Mapping[str, np.ndarray],
        expected: float,
        jit_compile: bool = True,
        splits_rows: bool = True,
    ) -> None:
        """Checks values, weights, config, files, graph, precisions, replicas.

        Args:
            make: Function that makes the metric.
            inputs: Keyword arguments of `update_state`: arrays [batch, ...] of an
                even number of rows, without `sample_weight`.
            expected: The result after all of them came as one batch.
            jit_compile: Whether the metric compiles under XLA; otherwise it must
                say that it does not.
            splits_rows: Whether two replicas see half of the rows each; otherwise
                both see all.
        """
        inputs = checks.tensors(dict(inputs))
        metric = make()
        metric_checks.check_metric_values(metric, inputs, expected)
        checks.check_model_with_metric(metric)
        metric_checks.check_metric_in_graph(make, inputs, expected, jit_compile)
        for precision in PRECISIONS:
            with dtype_policy(f"mixed_{precision}"):
                metric = make()
                metric.update_state(**inputs)
                checks.check_same(metric.result(), expected)
        metric_checks.check_metric_replicas(make, inputs, splits_rows)

    def run_model_test(
        self,
        make: MakeModel,
        inputs: Mapping[str, np.ndarray],
        labels: np.ndarray | Mapping[str, np.ndarray],
        jit_compile: bool = True,
    ) -> None:
        """Checks training, config, files, XLA, precisions, replicas.

        Args:
            make: Function that makes and compiles the model; its config must
                make it again, weights apart.
            inputs: Dict of arrays [batch, ...] of an even number of rows.
            labels: [batch]; a dict of them for a model with several heads.
            jit_compile: Whether a step must compile under XLA.
        """
        inputs, labels = checks.tensors((inputs, labels))
        model = model_checks.check_training(make, inputs, labels)
        checks.check_finite(model(inputs))
        model_checks.check_model_file(model, inputs, labels)
        checks.check_saved_model(model, model, (inputs,))
        checks.check_graph(model, (inputs,))
        if jit_compile:
            model_checks.check_training(make, inputs, labels, jit_compile=True)
        for precision in PRECISIONS:
            with dtype_policy(f"mixed_{precision}"):
                model_checks.check_training(make, inputs, labels)
        model_checks.check_model_replicas(make, inputs, labels)
