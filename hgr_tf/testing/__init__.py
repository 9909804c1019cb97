"""What a test of a layer, loss, metric or model of this package checks at least."""

from hgr_tf.testing.replicas import two_cpu_devices, two_replicas
from hgr_tf.testing.test_case import TestCase

__all__ = ["TestCase", "two_cpu_devices", "two_replicas"]
