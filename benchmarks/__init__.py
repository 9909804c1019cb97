"""Benchmarks: each prints JSON, and says at its top what it measures."""

import os

# Settings that hold numpy's matrix products below their speed on some machines; what
# is compared with numpy is compared with numpy at its best.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)
