"""Configs of layers that stand in dicts, or beside plain values."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def serialized(part: Any) -> Any:
    """The config of a layer, or of those in a dict; other values stay as they are."""
    if isinstance(part, dict):
        return {name: serialized(value) for name, value in part.items()}
    is_layer = isinstance(part, tf.keras.layers.Layer)
    return tf.keras.utils.serialize_keras_object(part) if is_layer else part


def deserialized(part: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """What `serialized` was given."""
    if not isinstance(part, dict):
        return part
    if "class_name" in part:
        # Unlike the general function, this one knows a SavedModel's format too.
        return tf.keras.layers.deserialize(part, custom_objects)
    return {name: deserialized(value, custom_objects) for name, value in part.items()}
