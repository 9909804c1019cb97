"""TensorFlow's protos without TensorFlow's Python, for processes that only serve."""

from __future__ import annotations

import importlib.util
import sys


def use_protos_only() -> None:
    """Makes `tensorflow.core` importable without running tensorflow's __init__.

    That would load Keras and take seconds; a server needs the generated proto
    modules alone. Call it in a process of its own, before anything imports
    TensorFlow: `import tensorflow` gives an empty package from then on.

    Raises:
        ImportError: TensorFlow is not installed.
        RuntimeError: TensorFlow is already imported.
    """
    if "tensorflow" in sys.modules:
        raise RuntimeError("tensorflow is already imported in this process")
    spec = importlib.util.find_spec("tensorflow")
    if spec is None:
        raise ImportError("tensorflow is not installed: `pip install tensorflow`")
    sys.modules["tensorflow"] = importlib.util.module_from_spec(spec)
