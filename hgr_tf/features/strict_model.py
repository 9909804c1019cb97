"""What every section of a spec shares: strict models and readable errors."""

from __future__ import annotations

import typing
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from hgr_tf.hints import nearest

_ALIASES = {"lr": "learning_rate", "bs": "batch_size"}
"""Short names that other projects use; difflib finds no likeness in them."""


class SpecError(ValueError):
    """A feature spec that cannot be used; the message names field and value."""


class Strict(BaseModel):
    """A frozen model that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def describe(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """One line of a pydantic error: field, expectation and value of each.

    Args:
        error: What validation raised.
        model: What was validated, to say what an unknown field may have meant.
    """
    parts = []
    for item in error.errors():
        field = ".".join(str(p) for p in item["loc"]) or "(whole)"
        if item["type"] == "value_error":  # of our own, which tells what came
            parts.append(f"{field}: {item['ctx']['error']}")
            continue
        if item["type"] == "extra_forbidden":
            parts.append(f"{field}: {_unknown(item['loc'], model)}")
            continue
        came = "" if item["type"] == "missing" else f", got {item['input']!r:.80}"
        parts.append(f"{field}: {item['msg']}{came}")
    return "; ".join(parts)


def _unknown(location: tuple[int | str, ...], model: type[BaseModel] | None) -> str:
    """Says that a field is not known, and which one it may have meant."""
    *parents, name = map(str, location)
    models: tuple[type[BaseModel], ...] = (model,) if model else ()
    for parent in parents:
        models = _models_of(models, parent)
    known = list(models[0].model_fields) if len(models) == 1 else []
    near = _ALIASES.get(name)
    near = near if near in known else None
    if near is None:
        near = nearest(name, known, cutoff=0.5)
    if near:
        return f"unknown field; did you mean {near!r}?"
    return "unknown field" + (f"; there are {', '.join(known)}" if known else "")


def _models_of(
    models: tuple[type[BaseModel], ...], part: str
) -> tuple[type[BaseModel], ...]:
    """The models of a field, or the one of a union that a tag such as "mlp" picks."""
    if len(models) == 1:
        field = models[0].model_fields.get(part)
        # A part that is no field is the key of a mapping to such models.
        return tuple(_models_in(field.annotation)) if field else models
    # So is one that is no tag, of a mapping to models of a union.
    return tuple(m for m in models if _tag_of(m) == part) or models


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, such as those of a tagged union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def _tag_of(model: type[BaseModel]) -> object:
    tag = model.model_fields.get("type")
    return tag.default if tag else None
