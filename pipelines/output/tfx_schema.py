"""schema.pbtxt: the prepared examples for tools that read TFX schemas."""

from __future__ import annotations

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from hgr_tf.features import ITEM, TIME, USER, FeatureEncoding


def schema_text(encoding: FeatureEncoding) -> str:
    """The schema of the encoded examples, as text."""
    schema, spec = schema_pb2.Schema(), encoding.spec
    for feature in spec.features():
        for name, form in feature.inputs.items():
            added = _add(schema, name, form.dtype == "int64")
            if form.padded:
                added.value_count.max = form.size
            else:
                _sized(added, form.size or 1)
            if form.dtype == "int64":
                added.int_domain.name = name
                added.int_domain.min = 0
                added.int_domain.max = encoding.num_ids(feature.name) - 1
                added.int_domain.is_categorical = True
    reserved = dict.fromkeys(spec.label_keys(), False) | {USER: True, ITEM: True}
    reserved |= dict.fromkeys(spec.weight_keys(), False)
    reserved |= {TIME: True} if spec.time else {}
    for name, is_int in reserved.items():
        _sized(_add(schema, name, is_int), 1)
    return text_format.MessageToString(schema)


def _add(schema: schema_pb2.Schema, name: str, is_int: bool) -> schema_pb2.Feature:
    kind = schema_pb2.INT if is_int else schema_pb2.FLOAT
    return schema.feature.add(name=name, type=kind)


def _sized(feature: schema_pb2.Feature, values: int) -> None:
    feature.presence.min_fraction = 1.0
    feature.shape.dim.add(size=values)
