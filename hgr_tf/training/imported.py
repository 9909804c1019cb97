"""Objects of a user's own modules, named in a config as "package.module:name"."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from hgr_tf.hints import nearest


def is_imported(text: str) -> bool:
    """Whether a text is of the form "package.module:name"."""
    return ":" in text


def import_object(text: str) -> Any:
    """Imports what "package.module:name" names.

    Modules are looked for where Python does, and in the current directory, which
    the `hgr-tf` command does not have on its path.

    Raises:
        ValueError: It has another form, the module is not found or fails while it is
            imported, or it has no such name.
    """
    module_name, _, name = text.partition(":")
    parts = [*module_name.split("."), *name.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"must be of the form 'package.module:name', got {text!r}")
    found = _import_module(module_name, text)
    path = module_name
    for part in name.split("."):
        if not hasattr(found, part):
            near = _did_you_mean(part, dir(found))
            raise ValueError(f"{path!r} has no {part!r}{near}, got {text!r}")
        found, path = getattr(found, part), f"{path}:{part}"
    return found


def instance_of(text: str) -> Any:
    """What a text names, made without arguments if it is a class.

    Raises:
        ValueError: It cannot be imported or made.
    """
    found = import_object(text)
    if not isinstance(found, type):
        return found
    try:
        return found()
    except TypeError as error:
        raise ValueError(
            f"must be a class that needs no arguments, or an instance, got {text!r} "
            f"({error})"
        ) from error


def _check(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
    for name in [names] if isinstance(names, str) else names:
        if is_imported(name):
            import_object(name)
    return names


def _check_imported(text: str) -> str:
    import_object(text)
    return text


NamesOrImported = Annotated[str | tuple[str, ...], AfterValidator(_check)]
"""Plain names and "package.module:name", which is imported to see whether it can."""

Imported = Annotated[str, AfterValidator(_check_imported)]
"""Always "package.module:name"."""


def _import_module(name: str, text: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != name and not name.startswith(f"{missing}."):
            raise ValueError(_failure(name, error)) from error
        near = _did_you_mean(missing.rpartition(".")[2], _siblings(missing))
        raise ValueError(f"no module {missing!r}{near}, got {text!r}") from error
    except Exception as error:
        raise ValueError(_failure(name, error)) from error


def _failure(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return (
        f"module {name!r} fails when it is imported: {type(error).__name__}: {reason}"
    )


def _siblings(module: str) -> list[str]:
    parent = module.rpartition(".")[0]
    path = list(sys.modules[parent].__path__) if parent else None
    return [found.name for found in pkgutil.iter_modules(path)]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f" (did you mean {near!r}?)" if near else ""
