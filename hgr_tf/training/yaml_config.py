"""YamlConfig: a config that is read from YAML and changed by options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from typing_extensions import Self

from hgr_tf.features.strict_model import Strict, describe


class ConfigError(ValueError):
    """A config that cannot be used; the message names field and value."""


class YamlConfig(Strict):
    """A frozen config with sections, which refuses fields it does not know."""

    def override(self, **values: Any) -> Self:
        """Returns a copy with fields replaced, dots in their names as `__`.

        Values of None are left out, so that command line options can be
        passed as they are.

        Raises:
            ConfigError: A value is out of its range.
        """
        data = self.model_dump(mode="json")
        for name, value in values.items():
            if value is None:
                continue
            *sections, key = name.split("__")
            target = data
            for section in sections:
                target = target[section]
            target[key] = value
        return self._validate(data, "options")

    @classmethod
    def from_yaml(cls, text: str, source: str = "config") -> Self:
        """Parses YAML text.

        Raises:
            ConfigError: Names every field that is wrong, what it must be and
                what came.
        """
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{source}: not YAML: {error}") from error
        return cls._validate({} if data is None else data, source)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a YAML file; errors name the file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        return cls.from_yaml(text, source=str(path))

    def to_yaml(self) -> str:
        """YAML text that `from_yaml` reads back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @classmethod
    def _validate(cls, data: Any, source: str) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"{source}: {describe(error, cls)}") from error
