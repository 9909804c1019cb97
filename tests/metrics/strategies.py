"""Random batches of labels, scores, groups and weights."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


class Rows(NamedTuple):
    labels: np.ndarray
    scores: np.ndarray
    groups: np.ndarray
    weights: np.ndarray


@st.composite
def rows(draw, max_size=60):
    """Few users and few distinct scores, so that ties and lone classes abound."""
    size = draw(st.integers(0, max_size))
    labels = draw(arrays("float32", size, elements=st.sampled_from([0.0, 1.0])))
    ties = st.sampled_from([-1e4, -1.0, -0.0, 0.0, 0.125, 0.5, 1e4])
    # TensorFlow takes subnormal numbers for 0.
    free = st.floats(-1, 1, width=32, allow_subnormal=False)
    scores = draw(arrays("float32", size, elements=draw(st.sampled_from([ties, free]))))
    users = st.sampled_from([0, 1, -5, 7, 2**62, -(2**63), 2**63 - 1])
    groups = draw(arrays("int64", size, elements=users))
    weights = draw(arrays("float32", size, elements=st.sampled_from([0, 0.25, 1, 3])))
    return Rows(labels, scores, groups, weights)
