"""What a run was trained with: versions, and Keras's generation above all."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import tensorflow as tf

import hgr_tf
from hgr_tf.compat import KERAS_3


def environment() -> dict[str, str]:
    """Versions of this process, as a run folder keeps them."""
    return {
        "keras": "Keras 3" if KERAS_3 else "Keras 2",
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "hgr_tf": hgr_tf.__version__,
    }


def mismatch(trained: Mapping[str, str]) -> str | None:
    """Why weights trained there cannot be used here, or None where they can.

    The two generations of Keras name and order weights differently, so that a file
    of one fails in the other or, worse, is taken in part.

    Args:
        trained: `environment` of the process that trained.
    """
    here = environment()
    kept = trained.get("keras", here["keras"])
    if kept == here["keras"]:
        return None
    remedy = (
        "unset TF_USE_LEGACY_KERAS, on Python 3.12 or newer"
        if kept == "Keras 3"
        else "set TF_USE_LEGACY_KERAS=1, or take Python 3.10 or 3.11"
    )
    return (
        f"trained with {kept} (TensorFlow {trained.get('tensorflow')}), and this "
        f"process has {here['keras']} (TensorFlow {here['tensorflow']}): {remedy}"
    )
