"""DriftThresholds: how far data may move before it counts as drift, in a YAML file."""

from __future__ import annotations

from pydantic import Field

from hgr_tf.features.strict_model import Strict
from hgr_tf.training.yaml_config import YamlConfig


class FeatureLimits(Strict):
    """How far a feature may move; null does not judge a measure.

    Attributes:
        missing_share: Largest change of the share of rows without a value.
        unknown_share: Largest rise of the share of values outside of the vocabulary.
        jensen_shannon: Largest Jensen-Shannon distance, from 0 to 1.
        l_infinity: Largest difference of the share of a value or, of numbers, of the
            share of rows up to any number.
        new_values: Largest share of values that the earlier vocabulary lacks.
    """

    missing_share: float | None = Field(0.05, ge=0, le=1)
    unknown_share: float | None = Field(0.05, ge=0, le=1)
    jensen_shannon: float | None = Field(0.1, ge=0, le=1)
    l_infinity: float | None = Field(None, ge=0, le=1)
    new_values: float | None = Field(0.2, ge=0, le=1)


class DriftThresholds(YamlConfig):
    """What counts as drift.

    Attributes:
        defaults: Limits of every feature.
        features: What differs from them, by feature.
        label_rate: Largest relative change of the label rate of a split; null does
            not judge it.
    """

    defaults: FeatureLimits = FeatureLimits()
    features: dict[str, FeatureLimits] = Field(default_factory=dict)
    label_rate: float | None = Field(0.1, ge=0)

    def of(self, feature: str) -> FeatureLimits:
        """The limits of a feature."""
        own = self.features.get(feature)
        if own is None:
            return self.defaults
        given = {name: getattr(own, name) for name in own.model_fields_set}
        return self.defaults.model_copy(update=given)
