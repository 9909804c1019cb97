"""TF_CONFIG: the processes that train a run together, and which of them this is."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """What TF_CONFIG says.

    Attributes:
        cluster: Role -> "host:port" of each process that has it.
        role: That of this process.
        index: Which of its role it is.
    """

    cluster: dict[str, list[str]]
    role: str
    index: int


def read_tf_config(*roles: str) -> Task:
    """Reads TF_CONFIG.

    Args:
        *roles: Those that there may be.

    Raises:
        ValueError: It is missing, cannot be read, lists other roles, or does not list
            this process.
    """
    text = os.environ.get("TF_CONFIG")
    form = (
        '{"cluster": {"worker": ["host:port", ...]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        config = json.loads(text or "{}")
        cluster, task = config["cluster"], config["task"]
        role, index = task["type"], int(task["index"])
        known = index in range(len(cluster[role]))
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            "TF_CONFIG must tell the workers and which of them this process is, "
            f"as {form}; got {text!r}"
        ) from None
    others = [role for role in cluster if role not in roles]
    if others or not known:
        named = " and ".join([", ".join(roles[:-1]), roles[-1]])
        raise ValueError(
            f"TF_CONFIG must list {named} tasks alone, and this process "
            f"among them, got {sorted(cluster)} and {role} {index}"
        )
    return Task(cluster, role, index)
