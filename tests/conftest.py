"""Two CPU devices, for the tests with two replicas, and the same numbers each time."""

import os

import hypothesis
import pytest
import tensorflow as tf

from hgr_tf.testing import two_cpu_devices

two_cpu_devices()
hypothesis.settings.register_profile(
    "hgr_tf",
    # Tracing a graph takes long once, which is no finding.
    deadline=None,
    # CI judges a change by the same examples each time; elsewhere they are new ones.
    derandomize=os.environ.get("CI") == "true",
)
hypothesis.settings.load_profile("hgr_tf")


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state, whatever ran before it."""
    tf.keras.utils.set_random_seed(0)
