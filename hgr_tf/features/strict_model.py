"""What every section of a spec shares: strict models and readable errors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class SpecError(ValueError):
    """A feature spec that cannot be used; the message names field and value."""


class Strict(BaseModel):
    """A frozen model that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def describe(error: ValidationError) -> str:
    """One line of a pydantic error: field, expectation and value of each."""
    parts = []
    for item in error.errors():
        field = ".".join(str(p) for p in item["loc"]) or "(whole)"
        if item["type"] == "value_error":  # of our own, which tells what came
            parts.append(f"{field}: {item['ctx']['error']}")
            continue
        came = "" if item["type"] == "missing" else f", got {item['input']!r:.80}"
        parts.append(f"{field}: {item['msg']}{came}")
    return "; ".join(parts)
