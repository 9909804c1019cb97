"""Before any test: two CPU devices, for the tests with two replicas."""

import hypothesis

from hgr_tf.testing import two_cpu_devices

two_cpu_devices()
# Tracing a graph takes long once, which is no finding.
hypothesis.settings.register_profile("hgr_tf", deadline=None)
hypothesis.settings.load_profile("hgr_tf")
