"""HeadConfig: what one head of several is trained with, beside its LogLoss."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hgr_tf.features.strict_model import Strict
from hgr_tf.training.imported import NamesOrImported

Lists = Literal["codes", "random_codes", "batch", "user"]
LevelWeights = float | tuple[float, ...] | Literal["uncertainty"]
Normalization = Literal["positive", "list", "sample"]

NO_RANKING_LOSS = "none"


class HeadConfig(Strict):
    """What the head of one label is trained with; None is what `method` says.

    Attributes:
        weight: Weight of all losses of the head; not with learned `head_weights`.
        ranking_loss: As `method.ranking_loss`, or "none" for LogLoss alone.
        lists: As `method.lists`.
        level_weights: As `method.level_weights`.
        normalization: As `method.normalization`.
        user_level: As `method.user_level`.
        entire_space: Whether rows count where the label that this one is `given` is
            negative; None leaves it to the ranker, of which esmm counts them.
    """

    weight: float = Field(1.0, ge=0)
    ranking_loss: NamesOrImported | None = None
    lists: Lists | None = None
    level_weights: LevelWeights | None = None
    normalization: Normalization | None = None
    user_level: bool | None = None
    entire_space: bool | None = None

    def over(self, method: dict[str, Any]) -> dict[str, Any]:
        """Fields of a `MethodConfig` with those that the head says otherwise."""
        own = self.model_dump(exclude={"weight", "entire_space"}, exclude_none=True)
        if own.get("ranking_loss") == NO_RANKING_LOSS:
            own["ranking_loss"] = None
        return {**method, **own}
