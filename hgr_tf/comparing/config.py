"""CompareConfig: which methods are compared, on what, in one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hgr_tf.features.strict_model import Strict
from hgr_tf.training.config import RunConfig
from hgr_tf.training.yaml_config import YamlConfig


class Range(Strict):
    """Where the search looks for a number.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether values are drawn evenly on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, got {self.low}")
        return self


def _learning_rates() -> dict[str, Range | tuple[Any, ...]]:
    return {"training.learning_rate": Range(low=3e-4, high=1e-2, log=True)}


class Tuning(Strict):
    """The search that every method gets alike.

    Attributes:
        trials: Runs of each method's search; 0 for none.
        metric: What is sought, on the validation split: "gauc" or "log_loss".
        space: Ranges or lists of choices by field, such as
            "training.learning_rate".
    """

    trials: int = Field(0, ge=0)
    metric: Literal["gauc", "log_loss"] = "log_loss"
    space: dict[str, Range | tuple[Any, ...]] = Field(default_factory=_learning_rates)


class PreCheck(Strict):
    """What is permuted of the baseline before the other runs.

    Attributes:
        permutations: How many times the user embedding and each feature are permuted;
            0 for none.
        features: Names of features; None for all of the spec.
    """

    permutations: int = Field(5, ge=0)
    features: tuple[str, ...] | None = None


class CompareConfig(YamlConfig):
    """What is compared.

    Attributes:
        base: The run that all methods share, as in `hgr-tf train`'s config.
        methods: What each method changes of it, by name: fields of a run's config,
            or the name of a preset of `method`.
        baseline: The method that the others are compared with.
        controls: For a method, the one that shows what it gains without its idea,
            such as random codes for hierarchical ones.
        seeds: Seeds of the runs, or how many, from 1 on.
        evaluate: Split that the figures are of; None for the validation split.
        head: Which of several heads the figures are of; None for the first.
        tuning: The search before the runs.
        slices: Cuts of that split, such as "country" or "user_activity:quantile5",
            whose differences are told too; as `hgr-tf evaluate --slice` takes them.
        pre_check: The check of the baseline before the other runs.
        smallest_gain: GAUC that is worth having; smaller gains do not pay.
        largest_loss: LogLoss that a gain may cost.

    Example:
        >>> config = CompareConfig.from_yaml('''
        ... base: {data: {path: prepared/demo}, training: {epochs: 2}}
        ... methods: {log_loss: none, groups: default}
        ... baseline: log_loss
        ... seeds: 3
        ... ''')
        >>> config.run("groups", seed=2).method.ranking_loss
        'list_ce'
    """

    base: dict[str, Any] = Field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = Field(min_length=2)
    baseline: str
    controls: dict[str, str] = Field(default_factory=dict)
    seeds: tuple[int, ...] = (1, 2, 3)
    evaluate: str | None = None
    head: str | None = None
    slices: tuple[str, ...] = ()
    tuning: Tuning = Tuning()
    pre_check: PreCheck = PreCheck()
    smallest_gain: float = Field(0.0005, gt=0)
    largest_loss: float = Field(0.0005, ge=0)

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_to_seeds(cls, seeds: Any) -> Any:
        return tuple(range(1, seeds + 1)) if isinstance(seeds, int) else seeds

    @field_validator("methods", mode="before")
    @classmethod
    def _presets_to_fields(cls, methods: Any) -> Any:
        if not isinstance(methods, dict):
            return methods
        return {
            name: {"method": fields} if isinstance(fields, str) else fields
            for name, fields in methods.items()
        }

    @model_validator(mode="after")
    def _check(self) -> CompareConfig:
        known = sorted(self.methods)
        named = [self.baseline, *self.controls, *self.controls.values()]
        unknown = sorted(set(named) - set(known))
        if unknown:
            raise ValueError(
                f"baseline and controls must be names of methods, {known}; "
                f"got {unknown}"
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be distinct numbers, got {self.seeds}")
        for name in self.methods:
            self.run(name, self.seeds[0])
        return self

    def run(self, method: str, seed: int, **found: Any) -> RunConfig:
        """Returns the config of one run.

        Args:
            method: Name of a method.
            seed: Seed of the run.
            **found: Values that the search found, dots in field names as in
                `Tuning.space`.
        """
        fields = merged(self.base, self.methods[method])
        for name, value in found.items():
            *sections, key = name.split(".")
            target = fields
            for section in sections:
                target = target.setdefault(section, {})
            target[key] = value
        return RunConfig.model_validate({**fields, "seed": seed})

    def with_data(self, path: str | Path) -> CompareConfig:
        """The same comparison of other prepared data."""
        data = {**self.base.get("data", {}), "path": str(path)}
        return self.model_copy(update={"base": {**self.base, "data": data}})

    @property
    def split(self) -> str:
        """The split that the figures are of."""
        return self.evaluate or self.run(self.baseline, 0).data.validation


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of nested fields with changes laid over them."""
    result = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result
