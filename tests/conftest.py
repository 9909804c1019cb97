"""Before any test: two CPU devices, for the tests with two replicas."""

import os

import hypothesis

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
