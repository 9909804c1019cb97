import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.metrics import CodebookUsage, GroupOccupancy, Perplexity, QuantizationError

CODES = st.integers(1, 40).flatmap(
    lambda size: arrays("int32", (size, 3), elements=st.integers(0, 4))
)


@settings(max_examples=30)
@given(CODES, st.integers(1, 3))
def test_usage_and_perplexity_of_a_level(codes, level):
    usage, perplexity = CodebookUsage(6, level), Perplexity(6, level)
    usage.update_state(codes)
    perplexity.update_state(codes)
    _, counts = np.unique(codes[:, level - 1], return_counts=True)
    shares = counts / len(codes)
    assert float(usage.result()) == pytest.approx(len(counts) / 6)
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert float(perplexity.result()) == pytest.approx(expected, rel=1e-5)


def test_rows_of_weight_zero_use_no_codeword():
    metric = CodebookUsage(4)
    metric.update_state([[0], [1]], sample_weight=[[1.0], [0.0]])
    assert float(metric.result()) == 0.25


@settings(max_examples=30, deadline=None)
@given(CODES, st.integers(1, 3), st.randoms())
def test_occupancy_counts_samples_in_lists_of_both_classes(codes, level, random):
    labels = np.array([random.random() < 0.3 for _ in codes], "float32")
    metric = GroupOccupancy(level)
    metric.update_state(labels, codes)
    lists = {}
    for code, label in zip(codes[:, :level].tolist(), labels, strict=True):
        lists.setdefault(tuple(code), []).append(label)
    listed = sum(len(one) for one in lists.values() if len(set(one)) == 2)
    assert float(metric.result()) == pytest.approx(listed / len(codes))


def test_occupancy_does_not_join_lists_across_batches():
    metric = GroupOccupancy()
    metric.update_state([1.0], [[0]])
    metric.update_state([0.0], [[0]])
    assert float(metric.result()) == 0
    metric.update_state([0.0, 1.0], [[0], [0]])
    assert float(metric.result()) == 0.5


def test_masked_samples_neither_count_nor_make_a_list():
    metric = GroupOccupancy()
    metric.update_state([1.0, 0.0, 1.0], [[0], [0], [1]], sample_weight=[1, 0, 1])
    assert float(metric.result()) == 0


def test_quantization_error_is_the_quantizers_own():
    embeddings = tf.random.stateless_normal([64, 8], [1, 2])
    quantizer = ResidualVectorQuantizer(3, 4, initializer="random")
    out = quantizer(embeddings)
    for level in (1, 2, 3):
        metric = QuantizationError()
        metric.update_state(embeddings, quantizer.decode(out.codes[:, :level]))
        expected = float(out.errors[level - 1])
        assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_relative_error_is_one_for_zeros_and_ignores_scale():
    embeddings = np.random.default_rng(0).normal(size=(10, 4))
    for scale in (1, 1000):
        metric = QuantizationError(relative=True)
        metric.update_state(scale * embeddings, np.zeros([10, 4]))
        assert float(metric.result()) == 1
        metric.reset_state()
        metric.update_state(scale * embeddings, scale * embeddings / 2)
        assert float(metric.result()) == pytest.approx(0.25)


@pytest.mark.parametrize("cls", [CodebookUsage, Perplexity])
def test_codebook_size_and_level_must_be_positive(cls):
    with pytest.raises(ValueError, match="`codebook_size` must be an int of at least"):
        cls(0)
    with pytest.raises(ValueError, match="`level` must be an int of at least 1"):
        cls(4, level=0)


@pytest.mark.parametrize(
    "metric", [CodebookUsage(4, level=3), Perplexity(4, level=3), GroupOccupancy(3)]
)
def test_too_few_levels_are_refused(metric):
    arguments = [[1.0]] if isinstance(metric, GroupOccupancy) else []
    with pytest.raises(ValueError, match=r"at least 3 levels, got shape \(1, 2\)"):
        metric.update_state(*arguments, [[0, 1]])
