"""Transform: the kinds of features as one pydantic type, told apart by `type`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from hgr_tf.features.kind import Kind
from hgr_tf.registry import Registry

KINDS = Registry("hgr_tf.features.kinds")
"""The kinds by the `type` of their section."""

if TYPE_CHECKING:
    Transform = Kind
else:
    Transform = Annotated[
        Union[tuple(KINDS[name] for name in KINDS.names())],  # noqa: UP007
        Field(discriminator="type"),
    ]
