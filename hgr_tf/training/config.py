"""RunConfig: everything that decides a training run, in one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Self

from hgr_tf.features.spec import FeatureSpec
from hgr_tf.features.strict_model import Strict
from hgr_tf.training.compute_config import ComputeConfig
from hgr_tf.training.distribution_config import DistributionConfig
from hgr_tf.training.imported import Imported
from hgr_tf.training.method import MethodConfig
from hgr_tf.training.parameter_server_limits import check_parameter_servers
from hgr_tf.training.rankers import AnyRanker, DcnV2Config, DlrmConfig, MlpConfig
from hgr_tf.training.run_metrics import SIGNS
from hgr_tf.training.yaml_config import ConfigError, YamlConfig

__all__ = [
    "CheckpointsConfig",
    "ComputeConfig",
    "ConfigError",
    "DataConfig",
    "DcnV2Config",
    "DistributionConfig",
    "DlrmConfig",
    "EarlyStopping",
    "MlpConfig",
    "RunConfig",
    "TrainingConfig",
]


class DataConfig(Strict):
    """Which prepared data to train on.

    Attributes:
        path: Output folder of `hgr-tf prepare`, relative to the current
            directory; the command line's --data wins over it.
        train: Split to train on.
        validation: Split to evaluate after each epoch and at the end.
        reader: "columns" (Parquet) or "tfrecord": what the folder must hold; "auto"
            takes either.
        cache: "memory" keeps the decoded rows of a split from epoch to epoch where
            they fit into `memory_mb`; "none" decodes them in each epoch.
        shuffle_buffer: Rows that training shuffles among; None for the whole split,
            or what `PreparedData.dataset` says where that is not possible.
        memory_mb: MiB for the decoded rows of each split.
    """

    path: str | None = None
    train: str = "train"
    validation: str = "val"
    reader: Literal["auto", "columns", "tfrecord"] = "auto"
    cache: Literal["memory", "none"] = "memory"
    shuffle_buffer: int | None = Field(None, ge=1)
    memory_mb: int = Field(2048, ge=1)


class EarlyStopping(Strict):
    """When to stop before the last epoch, keeping the best epoch's weights.

    Attributes:
        metric: Metric of the validation split: one of `SIGNS`, or the `name` of a
            metric that the config adds. Of several heads that of one, such as
            "purchase/auc"; the first head's if none is named.
        mode: Whether "max" or "min" is best, for a metric that the config adds.
        patience: Epochs without a better value before training stops.
    """

    metric: str = "gauc"
    mode: Literal["max", "min"] | None = None
    patience: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _check_mode(self) -> EarlyStopping:
        if (self.name in SIGNS) == (self.mode is not None):
            raise ValueError(
                f"`metric` must be one of {sorted(SIGNS)}, or that of a metric of the "
                "config's `metrics`, which needs a `mode`, max or min; "
                f"got {self.metric!r} with mode {self.mode!r}"
            )
        return self

    @property
    def head(self) -> str:
        """The head of the metric; "" if none is named."""
        return self.metric.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The metric without its head."""
        return self.metric.rpartition("/")[2]

    @property
    def sign(self) -> int:
        """+1 if more of the metric is better, else -1."""
        return SIGNS.get(self.name, 1 if self.mode == "max" else -1)


class CheckpointsConfig(Strict):
    """When the state that an interrupted run goes on from is written.

    Attributes:
        every_steps: Steps between two checkpoints, beside that of each epoch's
            end; None for epochs alone.
        keep: How many are kept; a damaged one is passed over.
    """

    every_steps: int | None = Field(None, ge=1)
    keep: int = Field(3, ge=1)


class TrainingConfig(Strict):
    """How to optimize.

    Attributes:
        batch_size: Examples per step.
        epochs: Passes over the training split.
        optimizer: A Keras optimizer, or one of `hgr_tf.optimizers` for large
            tables: "lazy_adam", "rowwise_adagrad".
        learning_rate: At the first step.
        schedule: "constant", or decay to 0 at the last step of the last epoch
            along a line or a half cosine.
        weight_ema: Momentum of an exponential moving average of the weights,
            which is what is then evaluated and kept; None for no average.
        average_checkpoints: How many of the last checkpoints have their weights
            averaged when training ends, which is what is then evaluated and kept;
            None for no average. The epochs' own figures are of the weights as trained.
        early_stopping: None trains all epochs and keeps the last weights.
        checkpoints: When the state is written that an interrupted run goes on from.
        keep_optimizer: Whether the finished run keeps its optimizer, for a later run
            that goes on from it.
    """

    batch_size: int = Field(4096, ge=1)
    epochs: int = Field(2, ge=1)
    optimizer: Literal[
        "adam", "adamw", "adagrad", "sgd", "lazy_adam", "rowwise_adagrad"
    ] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    weight_ema: float | None = Field(None, gt=0, lt=1)
    average_checkpoints: int | None = Field(None, ge=2)
    early_stopping: EarlyStopping | None = None
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    keep_optimizer: bool = False

    @model_validator(mode="after")
    def _check_averages(self) -> TrainingConfig:
        if self.average_checkpoints is None:
            return self
        for name in ("weight_ema", "early_stopping"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"`average_checkpoints` must not be given with `{name}`, which "
                    f"keeps other weights, got {getattr(self, name)!r}"
                )
        return self


NewRows = Literal["unknown", "mean", "random"]


def _as_init_from(value: Any) -> Any:
    return {"run": value} if isinstance(value, str) else value


class InitFrom(Strict):
    """An earlier run that this one begins with.

    Attributes:
        run: Its folder. A chain of days may leave it out: each day but the first
            begins with the day before.
        optimizer: Whether the optimizer goes on too, with its slots and its step; the
            run must have kept it (`training.keep_optimizer`).
        quantizer: Whether the codebooks and their averages go on.
        new_rows: What ids that the run did not know begin with: the row of unknown
            values, the mean of the table, or random rows.
    """

    run: str | None = None
    optimizer: bool = False
    quantizer: bool = True
    new_rows: NewRows = "unknown"


class RunConfig(YamlConfig):
    """Everything that decides a training run.

    Attributes:
        data: What it trains on.
        ranker: One of `hgr_tf.rankers`, or of a module of one's own.
        method: What is trained beside the LogLoss.
        training: How.
        compute: In which precision, by XLA or not, and in how many parts.
        distribution: On which devices and machines.
        init_from: An earlier run to begin with; its path, or an `InitFrom`.
        metrics: Metrics beside those of every run: "package.module:name" of Keras
            metric classes that need no arguments, or of functions that make them.
        seed: Seed for all randomness.

    Example:
        >>> config = RunConfig.from_yaml('''
        ... data: {path: prepared/kuairand_pure}
        ... ranker: {type: mlp, hidden_units: [64, 32]}
        ... method: default
        ... training: {batch_size: 1024, epochs: 2}
        ... seed: 1
        ... ''')
        >>> config.ranker.hidden_units
        (64, 32)
    """

    data: DataConfig = DataConfig()
    ranker: AnyRanker = MlpConfig()
    method: MethodConfig = MethodConfig()
    training: TrainingConfig = TrainingConfig()
    compute: ComputeConfig = ComputeConfig()
    distribution: DistributionConfig = DistributionConfig()
    init_from: Annotated[InitFrom | None, BeforeValidator(_as_init_from)] = None
    metrics: tuple[Imported, ...] = ()
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _check_parameter_servers(self) -> Self:
        if self.distribution.has_servers:
            check_parameter_servers(self)
        return self

    def beginning_with(self, run: str | Path | None) -> Self:
        """Returns the config with another run in `init_from`; its options stay."""
        if run is None:
            return self
        options = self.init_from.model_dump() if self.init_from else {}
        return self.override(init_from={**options, "run": str(run)})

    def for_spec(self, spec: FeatureSpec) -> RunConfig:
        """Returns the config with what depends on the spec filled in.

        That is `method.user_embedding` where it is not given, and the head of the
        metric to stop by where the spec has several labels.
        """
        filled = {}
        if self.method.user_embedding is None:
            has_tower = bool(getattr(self.ranker, "user_tower", ()))
            user = spec.id_feature("user")
            is_seen = user and user.name not in getattr(self.ranker, "without", ())
            by_tower = bool(spec.history) or not is_seen
            layer = "user_tower" if has_tower and by_tower else "user_embedding"
            filled["method__user_embedding"] = layer
        stopping = self.training.early_stopping
        if spec.labels and stopping and not stopping.head:
            metric = f"{next(iter(spec.labels))}/{stopping.metric}"
            filled["training__early_stopping__metric"] = metric
        return self.override(**filled) if filled else self

    def given(self, spec: FeatureSpec) -> dict[str, str]:
        """Head -> the head whose label must be positive for a row to count."""
        return self.method.given(spec.labels, self.ranker.entire_space)
