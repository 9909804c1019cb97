"""TensorFlow's protos without TensorFlow's Python, for processes that only serve."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator


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


@contextlib.contextmanager
def protos_only() -> Iterator[None]:
    """Imports inside of it find TensorFlow's protos without TensorFlow's Python.

    For commands that only score: what they import is loaded in a second instead of
    ten, and a later `import tensorflow` is the whole TensorFlow. Where TensorFlow
    is imported already, nothing changes.

    Example:
        >>> with protos_only():
        ...     from hgr_tf.export.runtime.predictor import Predictor
    """
    if "tensorflow" in sys.modules:
        yield
        return
    use_protos_only()
    try:
        yield
    finally:
        for name in [n for n in sys.modules if n.partition(".")[0] == "tensorflow"]:
            del sys.modules[name]
