"""Arrow's extension types: what they mean, not what they are stored as."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.pipelines.kernels.value_texts import has_text

_NAME = b"ARROW:extension:name"
_HEX = np.array([f"{byte:02x}" for byte in range(256)], "S2").view("S1").reshape(-1, 2)
_HYPHENS = (8, 13, 18, 23)


def plain(array: pa.Array) -> pa.Array:
    """The values of an array that is encoded or of an extension type, else itself.

    Dictionaries and runs are decoded. A UUID becomes its text in lower case,
    JSON its text, and a byte that stands for a boolean that boolean.
    """
    if pa.types.is_dictionary(array.type):
        return plain(array.dictionary_decode())
    if pa.types.is_run_end_encoded(array.type):
        return plain(pc.run_end_decode(array))
    if isinstance(array.type, pa.BaseExtensionType):
        return _PLAIN[array.type.extension_name](array.storage)
    return array


def why_refused(field: pa.Field) -> str | None:
    """Why the values of a column have neither text nor number; None if they do.

    What is nested, apart from lists, is not told here: it costs its rows.
    """
    name = (field.metadata or {}).get(_NAME)
    if name is not None and name.decode() not in _PLAIN:  # not known to this Arrow
        return f"of the extension type {name.decode()!r}"
    return _why_refused(field.type)


def _why_refused(kind: pa.DataType) -> str | None:
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name not in _PLAIN:
            return f"of the extension type {kind.extension_name!r}"
        return None
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _why_refused(kind.value_type)
    if pa.types.is_nested(kind):
        element = getattr(kind, "value_field", None)
        return why_refused(element) if element is not None else None
    return None if has_text(kind) else f"of the type {kind}"


def _uuid_texts(storage: pa.Array) -> pa.Array:
    valid = storage.is_valid().to_numpy(False)
    data = b"".join(value or bytes(16) for value in storage.to_pylist())
    digits = _HEX[np.frombuffer(data, np.uint8).reshape(-1, 16)].reshape(-1, 32)
    letters = np.full((len(digits), 36), b"-", "S1")
    letters[:, [i for i in range(36) if i not in _HYPHENS]] = digits
    texts = letters.reshape(-1).view("S36") if len(digits) else np.array([], "S36")
    return pa.array(texts, pa.binary(), mask=~valid).cast(pa.string())


_PLAIN: dict[str, Callable[[pa.Array], pa.Array]] = {
    "arrow.uuid": _uuid_texts,
    "arrow.json": lambda storage: storage,
    "arrow.bool8": lambda storage: pc.not_equal(storage, 0),
}
