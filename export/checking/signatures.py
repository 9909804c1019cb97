"""Checks of what servers ask of signatures."""

from __future__ import annotations

from pathlib import Path

from hgr_tf.export.checking.saved_graph import SavedGraph
from hgr_tf.export.options import SIGNATURES
from hgr_tf.export.signature import PREDICT, signature_class


def check_signatures(folder: str | Path) -> None:
    """Checks what servers ask of signatures: method names, and the fingerprint.

    Raises:
        ValueError: A method has another name, or fingerprint.pb is of another
            model.
    """
    for name, signature in SavedGraph(folder).signatures.items():
        known = name.partition("/")[0] in SIGNATURES.names()
        expected = signature_class(name).method if known else PREDICT
        if signature.method_name != expected:
            raise ValueError(
                f"{folder}: the method of the signature {name!r} must be {expected!r}, "
                f"got {signature.method_name!r}"
            )
    from tensorflow.python.saved_model import fingerprinting_utils

    written = fingerprinting_utils.singleprint_from_fingerprint_proto(str(folder))
    actual = fingerprinting_utils.singleprint_from_saved_model_proto(str(folder))
    if written != actual:
        raise ValueError(
            f"{folder}: fingerprint.pb must be that of the model, {actual}, "
            f"got {written}"
        )
