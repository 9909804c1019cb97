"""Every public class, on whichever of the three flavours runs this test."""

import importlib
import inspect

import pytest

import hgr_tf
from hgr_tf.compat import KERAS_3
from hgr_tf.testing import TestCase as ConformanceTestCase
from tests.conformance import cases


def public_names(package):
    """A package's public names, but for named tuples of results and functions."""
    module = importlib.import_module(f"hgr_tf.{package}")
    return [
        name
        for name in module.__all__
        if inspect.isclass(member := getattr(module, name))
        and not issubclass(member, tuple)
    ]


def case_names(known, names):
    """The cases of public names: one of each name, and its variants."""
    variants = [case for case in known if case.split(": ")[0] in names]
    return sorted({*names, *variants})


# Cases of a few seconds on each flavour that a faster one covers: variants that share
# their code with another case, and whose values have tests of their own; every ranker
# is made of the layers of `mlp_ranker` and of layers with cases of their own.
SLOW = {
    "HistoryEncoder: time gaps",
    "HierarchicalGroupwiseLoss: a loss per level",
    "HierarchicalGroupwiseLoss: lambda_loss, learned weights",
    "HierarchicalGroupwiseLoss: list_mle",
    "HierarchicalGroupwiseLoss: pairwise_logistic a list",
    "HierarchicalGroupwiseLoss: softmax_ce, learned weights",
    "GroupHitRate",
    "GroupMRR",
    "HierarchicalGroupwiseRanker: k-means start, learned weights",
    "HierarchicalGroupwiseRanker: gradient codebooks",
    "HierarchicalGroupwiseRanker: a ranker of one's own",
    "HierarchicalGroupwiseRanker: several heads",
    "dcn_v2_ranker",
    "dlrm_ranker",
    "esmm_ranker",
    "mmoe_ranker",
    "ple_ranker",
    "shared_bottom_ranker",
}


def marked(names):
    """Cases by their names, the slow ones marked."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in names
    ]


@pytest.mark.parametrize(
    "name", marked(case_names(cases.LAYERS, public_names("layers")))
)
def test_layer(name):
    ConformanceTestCase().run_layer_test(**cases.LAYERS[name])


@pytest.mark.parametrize(
    "name", marked(case_names(cases.LOSSES, public_names("losses")))
)
def test_loss(name):
    ConformanceTestCase().run_loss_test(**cases.LOSSES[name])


@pytest.mark.parametrize(
    "name", marked(case_names(cases.METRICS, public_names("metrics")))
)
def test_metric(name):
    ConformanceTestCase().run_metric_test(**cases.METRICS[name])


MODELS = {*hgr_tf.models.__all__, *hgr_tf.rankers.__all__} - {
    "HierarchicalGroupwiseTask"
}


@pytest.mark.parametrize("name", marked(case_names(cases.MODELS, MODELS)))
def test_model(name):
    ConformanceTestCase().run_model_test(**cases.MODELS[name])


@pytest.mark.skipif(KERAS_3, reason="TFRS needs Keras 2")
def test_task():
    ConformanceTestCase().run_layer_test(**cases.TASK)


@pytest.mark.skipif(not KERAS_3, reason="TFRS works on Keras 2")
def test_task_without_tfrs_gives_an_install_hint():
    with pytest.raises(ImportError, match="TF_USE_LEGACY_KERAS=1"):
        hgr_tf.models.HierarchicalGroupwiseTask  # noqa: B018


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_ranking") is not None,
    reason="tensorflow-ranking is here",
)
def test_tfr_loss_without_tensorflow_ranking_gives_an_install_hint():
    with pytest.raises(ImportError, match="tensorflow-ranking"):
        hgr_tf.losses.HierarchicalGroupwiseLoss(2, listwise="approx_ndcg_loss")
