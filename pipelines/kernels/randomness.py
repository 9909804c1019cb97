"""Random numbers that depend on the seed and on what they are for, on nothing else.

So a rerun, on any runner, gives the same bytes.
"""

from __future__ import annotations

import hashlib

import numpy as np


def random_words(seed: int, purpose: str, key: tuple[int, ...], n: int) -> np.ndarray:
    """`[n]` uint64 for the rows of a batch, which `key` identifies."""
    text = f"{seed}/{purpose}/{key}".encode()
    state = int.from_bytes(hashlib.sha256(text).digest()[:16], "little")
    return np.random.Philox(key=state).random_raw(n)


def mixed(words: np.ndarray, seed: int) -> np.ndarray:
    """`[n]` uint64: each word hashed together with the seed (SplitMix64)."""
    with np.errstate(over="ignore"):
        x = words + np.uint64(0x9E3779B97F4A7C15) * np.uint64(2 * seed + 1 & _MASK)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(words: np.ndarray) -> np.ndarray:
    """`[n]` float64 in [0, 1)."""
    return (words >> np.uint64(11)) * 2.0**-53


_MASK = 2**64 - 1
