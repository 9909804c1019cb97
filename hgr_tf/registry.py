"""Registry: the things of one kind, one module of a package each."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Registry:
    """The modules of a package, by name; each defines one public class.

    A module put into the package is registered: nothing else has to name it.
    Names are listed without importing the modules, which may be heavy.

    Attributes:
        package: Import name of the package, which holds nothing else.

    Example:
        >>> kinds = Registry("hgr_tf.features.kinds")
        >>> kinds["hashed"].__name__
        'Hashed'
    """

    package: str

    def names(self) -> tuple[str, ...]:
        """The names of the modules, sorted; those that start with "_" left out."""
        spec = importlib.util.find_spec(self.package)
        folders = (spec and spec.submodule_search_locations) or ()
        found = (module.name for module in pkgutil.iter_modules(list(folders)))
        return tuple(sorted(name for name in found if not name.startswith("_")))

    def __getitem__(self, name: str) -> Any:
        """The one public class that the module `name` defines.

        Raises:
            KeyError: There is no such module.
            TypeError: The module defines no public class, or several.
        """
        if name not in self.names():
            raise KeyError(f"{self.package} has {self.names()}, got {name!r}")
        module = importlib.import_module(f"{self.package}.{name}")
        classes = [
            value
            for key, value in vars(module).items()
            if isinstance(value, type)
            and value.__module__ == module.__name__
            and not key.startswith("_")
        ]
        if len(classes) != 1:
            raise TypeError(
                f"{module.__name__} must define one public class, "
                f"got {[c.__name__ for c in classes]}"
            )
        return classes[0]

    def check(self, name: str) -> str:
        """Returns `name`; raises `ValueError` unless it is one of the names."""
        if name not in self.names():
            raise ValueError(f"must be one of {list(self.names())}, got {name!r}")
        return name
