"""GateConfig: what a ranker must reach before it is published, in one YAML file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from hgr_tf.comparing.figures import NDCG_AT
from hgr_tf.features.strict_model import Strict
from hgr_tf.training.yaml_config import YamlConfig

METRICS = (
    "gauc",
    "auc",
    f"ndcg_{NDCG_AT}",
    "mrr",
    f"hit_rate_{NDCG_AT}",
    "log_loss",
    "pcoc",
    "ece",
)
"""Metrics that a gate may name: those of `hgr_tf.comparing.intervals.estimates`."""


def split_name(name: str) -> tuple[str, str]:
    """The head and the metric of a name, such as "click/auc" or "auc"."""
    head, _, metric = name.rpartition("/")
    return head, metric


class Limits(Strict):
    """What a metric may be, on its own and beside that of the served version.

    Attributes:
        at_least: The smallest value.
        at_most: The largest value.
        drop_at_most: How far it may lie below the served version's.
        rise_at_most: How far it may lie above the served version's.
    """

    at_least: float | None = None
    at_most: float | None = None
    drop_at_most: float | None = Field(None, ge=0)
    rise_at_most: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if all(value is None for value in dict(self).values()):
            raise ValueError(
                "must name a limit: at_least, at_most, drop_at_most or rise_at_most"
            )
        low, high = self.at_least, self.at_most
        if low is not None and high is not None and low > high:
            raise ValueError(f"at_least must be below at_most, got {low} and {high}")
        return self

    @property
    def compares(self) -> bool:
        """Whether it looks at the served version."""
        return self.drop_at_most is not None or self.rise_at_most is not None


class TopK(Strict):
    """How much of the first k items of a request may change.

    Attributes:
        changed_at_most: Largest share of the served version's first k items that are
            not among the new one's, on average over requests.
        k: Items of a request that count.
        requests: Random requests.
        items: Random items of each.
    """

    changed_at_most: float = Field(ge=0, le=1)
    k: int = Field(10, ge=1)
    requests: int = Field(100, ge=1)
    items: int = Field(100, ge=2)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.k >= self.items:
            raise ValueError(f"k must be below items, got {self.k} and {self.items}")
        return self


class Latency(Strict):
    """How long the exported model may take for a request, in this process.

    Attributes:
        p95_ms_at_most: Largest 95% quantile, in milliseconds.
        rise_at_most: Largest rise of the median over the served version's, as a share.
        rows: Rows of a request of `serving_default`.
        calls: Requests that are timed.
    """

    p95_ms_at_most: float | None = Field(None, gt=0)
    rise_at_most: float | None = Field(None, ge=0)
    rows: int = Field(100, ge=1)
    calls: int = Field(200, ge=20)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.p95_ms_at_most is None and self.rise_at_most is None:
            raise ValueError("must name a limit: p95_ms_at_most or rise_at_most")
        return self


class Size(Strict):
    """How large the exported model may be.

    Attributes:
        mb_at_most: Largest size of its files, in 1,000,000 bytes.
        rise_at_most: Largest rise over the served version's, as a share.
    """

    mb_at_most: float | None = Field(None, gt=0)
    rise_at_most: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mb_at_most is None and self.rise_at_most is None:
            raise ValueError("must name a limit: mb_at_most or rise_at_most")
        return self


class Served(Strict):
    """Where the served version's figures come from, if not from its own report.

    Attributes:
        run: The run it was exported from; by default the one its gate.json names.
        data: The gate's split, prepared with that run's encoding (`hgr-tf prepare
            --encoding-from`); by default the gate's own data.
    """

    run: Path | None = None
    data: Path | None = None


class GateConfig(YamlConfig):
    """What is asked of a ranker before it is published.

    Attributes:
        split: Split that the metrics are of.
        data: Prepared folder; by default that of the run's training.
        metrics: Limits of metrics of the whole split, at least one; of a ranker with
            several heads by their names, such as "click/auc".
        slices: How to cut the split, as `hgr-tf evaluate --slice` takes it.
        slice_metrics: Limits of metrics of every slice.
        slice_rows: Slices with fewer rows are not judged.
        served: Where the served version's figures come from.
        top_k: Limit of the change of the first items.
        latency: Limits of the latency.
        size: Limits of the size.
    """

    split: str
    data: Path | None = None
    metrics: dict[str, Limits]
    slices: tuple[str, ...] = ()
    slice_metrics: dict[str, Limits] = Field(default_factory=dict)
    slice_rows: int = Field(1000, ge=1)
    served: Served = Served()
    top_k: TopK | None = None
    latency: Latency | None = None
    size: Size | None = None

    @field_validator("metrics", "slice_metrics")
    @classmethod
    def _check_names(cls, limits: dict[str, Limits]) -> dict[str, Limits]:
        unknown = [name for name in limits if split_name(name)[1] not in METRICS]
        if unknown:
            raise ValueError(f"must be among {', '.join(METRICS)}, got {unknown[0]!r}")
        return limits

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.metrics:
            raise ValueError(
                f"`metrics` must name at least one of {', '.join(METRICS)}, got none"
            )
        if bool(self.slices) != bool(self.slice_metrics):
            raise ValueError("`slices` and `slice_metrics` must be given together")
        return self

    @property
    def compared_heads(self) -> list[str]:
        """Heads with metrics beside the served version's; "" for a single output."""
        limits = [*self.metrics.items(), *self.slice_metrics.items()]
        heads = [split_name(name)[0] for name, one in limits if one.compares]
        return list(dict.fromkeys(heads))
