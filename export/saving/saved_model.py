"""Writes a ServingModule as a SavedModel that TensorFlow Serving accepts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from hgr_tf.export.saving.serving_module import ServingModule
from hgr_tf.export.signature import PREDICT, signature_class


def save(module: ServingModule, folder: str | Path) -> None:
    """Writes saved_model.pb, fingerprint.pb, variables/ and assets/.

    Args:
        module: Signatures and what they read.
        folder: Must not exist.
    """
    # Custom gradients are for fine-tuning; a server has no use for them.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(
        module, str(folder), signatures=module.signatures, options=options
    )
    _set_method_names(Path(folder), module.signatures)


def _set_method_names(folder: Path, signatures: Iterable[str]) -> None:
    """Names the methods other than predict, for servers that check them."""
    methods = {name: signature_class(name).method for name in signatures}
    names = {name: method for name, method in methods.items() if method != PREDICT}
    if not names:
        return
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(
        str(folder)
    )
    for key, method in names.items():
        updater.replace_method_name(
            signature_key=key,
            method_name=method,
            tags=[tf.saved_model.SERVING],
        )
    updater.save()
    _rewrite_fingerprint(folder)


def _rewrite_fingerprint(folder: Path) -> None:
    # The fingerprint hashes the signatures, which have just changed, and
    # TensorFlow has no public way of computing it again.
    from tensorflow.python.saved_model import fingerprinting_utils

    (folder / "fingerprint.pb").unlink()
    fingerprinting_utils.write_fingerprint(str(folder))
