"""Export of a trained ranker for TensorFlow Serving, and its local stand-ins.

Nothing is imported before it is used, so that the server process loads
neither Keras nor hgr_tf.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hgr_tf.export.checking.verification import verify as verify
    from hgr_tf.export.exporter import export_for_serving as export_for_serving

_HOMES = {
    "export_for_serving": "hgr_tf.export.exporter",
    "verify": "hgr_tf.export.checking.verification",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hgr_tf.export' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
