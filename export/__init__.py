"""Export of a trained ranker for TensorFlow Serving, and its local stand-ins.

Nothing is imported before it is used, so that the server process loads
neither Keras nor hgr_tf.
"""

import importlib

_HOMES = {
    "export_for_serving": "hgr_tf.export.exporter",
    "verify": "hgr_tf.export.checking.verification",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hgr_tf.export' has no attribute {name!r}")


def __dir__():
    return __all__
