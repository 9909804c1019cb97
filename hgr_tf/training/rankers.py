"""The ranker of a run, by its config: one of `hgr_tf.rankers` or a user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from hgr_tf.features.embedding_options import EmbeddingOptions
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.features.strict_model import Strict
from hgr_tf.hints import did_you_mean
from hgr_tf.training.imported import Imported, import_object, is_imported

if TYPE_CHECKING:
    import tensorflow as tf

    from hgr_tf.features import FeatureEncoding

Units = tuple[Annotated[int, Field(ge=1)], ...]


class _RankerConfig(Strict):
    """What all rankers of ours take.

    Attributes:
        entire_space: Whether a head of a label that is `given` another one is trained
            and judged on all rows, and not on those alone where that one is positive.
    """

    if TYPE_CHECKING:
        type: str
    entire_space: ClassVar[bool] = False

    embedding_dim: int = Field(16, ge=1)
    hidden_units: Units = (128, 64)
    dropout: float = Field(0.0, ge=0, lt=1)
    user_tower: Units = ()
    features: dict[str, EmbeddingOptions] = Field({})
    history: HistoryOptions = HistoryOptions()

    def build(self, encoding: FeatureEncoding) -> tf.keras.Model:
        """Returns the ranker for data of this encoding."""
        from hgr_tf import rankers

        make = getattr(rankers, f"{self.type}_ranker")
        return make(encoding, **self.model_dump(exclude={"type"}))


class MlpConfig(_RankerConfig):
    """Arguments of `hgr_tf.rankers.mlp_ranker`."""

    type: Literal["mlp"] = "mlp"


class DcnV2Config(_RankerConfig):
    """Arguments of `hgr_tf.rankers.dcn_v2_ranker`."""

    type: Literal["dcn_v2"] = "dcn_v2"
    cross_layers: int = Field(2, ge=1)
    projection_dim: int | None = Field(None, ge=1)


class DlrmConfig(_RankerConfig):
    """Arguments of `hgr_tf.rankers.dlrm_ranker`."""

    type: Literal["dlrm"] = "dlrm"
    bottom_units: Units = (32,)


class _SeveralHeadsConfig(_RankerConfig):
    tower_units: Units = (32,)


class SharedBottomConfig(_SeveralHeadsConfig):
    """Arguments of `hgr_tf.rankers.shared_bottom_ranker`."""

    type: Literal["shared_bottom"] = "shared_bottom"


class MmoeConfig(_SeveralHeadsConfig):
    """Arguments of `hgr_tf.rankers.mmoe_ranker`."""

    type: Literal["mmoe"] = "mmoe"
    num_experts: int = Field(4, ge=1)


class PleConfig(_SeveralHeadsConfig):
    """Arguments of `hgr_tf.rankers.ple_ranker`."""

    type: Literal["ple"] = "ple"
    task_experts: int = Field(2, ge=1)
    shared_experts: int = Field(2, ge=1)


class EsmmConfig(_RankerConfig):
    """Arguments of `hgr_tf.rankers.esmm_ranker`."""

    type: Literal["esmm"] = "esmm"
    entire_space: ClassVar[bool] = True


class ImportedRankerConfig(BaseModel):
    """A ranker of one's own.

    Attributes:
        type: "package.module:name" of a class or function. It is called with the
            `FeatureEncoding` and, by keyword, all other fields that stand beside
            `type`, and returns a Keras model as `HierarchicalGroupwiseRanker` takes
            them.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Imported
    entire_space: ClassVar[bool] = False

    def build(self, encoding: FeatureEncoding) -> tf.keras.Model:
        """Returns the ranker for data of this encoding.

        Raises:
            ValueError: It cannot be made of these fields, or is no Keras model.
        """
        import tensorflow as tf

        try:
            ranker = import_object(self.type)(encoding, **(self.model_extra or {}))
        except TypeError as error:
            raise ValueError(
                f"ranker: {self.type!r} cannot be made: {error}"
            ) from error
        if not isinstance(ranker, tf.keras.Model):
            raise ValueError(
                f"ranker: {self.type!r} must return a Keras model, got {ranker!r}"
            )
        return ranker


_NAMES = ("mlp", "dcn_v2", "dlrm", "shared_bottom", "mmoe", "ple", "esmm")


def _check_type(ranker: Any) -> Any:
    name = ranker.get("type", "mlp") if isinstance(ranker, dict) else "mlp"
    if isinstance(name, str) and (name in _NAMES or is_imported(name)):
        return ranker
    hint = did_you_mean(name, _NAMES)
    known = ", ".join(map(repr, _NAMES))
    raise ValueError(
        f"`type` must be one of {known} or 'package.module:name', got {name!r}{hint}"
    )


def _tag(ranker: Any) -> str:
    if isinstance(ranker, dict):
        name = ranker.get("type", "mlp")
    else:
        name = getattr(ranker, "type", "mlp")
    return "imported" if is_imported(name) else name


AnyRanker = Annotated[
    Annotated[MlpConfig, Tag("mlp")]
    | Annotated[DcnV2Config, Tag("dcn_v2")]
    | Annotated[DlrmConfig, Tag("dlrm")]
    | Annotated[SharedBottomConfig, Tag("shared_bottom")]
    | Annotated[MmoeConfig, Tag("mmoe")]
    | Annotated[PleConfig, Tag("ple")]
    | Annotated[EsmmConfig, Tag("esmm")]
    | Annotated[ImportedRankerConfig, Tag("imported")],
    Discriminator(_tag),
    BeforeValidator(_check_type),
]
