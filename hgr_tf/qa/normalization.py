"""How SQuAD's and DROP's evaluation scripts make texts comparable."""

from __future__ import annotations

import re
import string

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)


def squad_normalized(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous white space."""
    letters = "".join(ch for ch in text.lower() if ch not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", letters).split())


def drop_normalized(text: str) -> str:
    """As SQuAD's, word by word, where words are cut at spaces and hyphens.

    Numbers keep their punctuation and are written as floats, so that "1" is "1.0".
    """
    words = (_drop_word(word) for word in re.split(" |-", text))
    return " ".join(word for word in words if word.strip()).strip()


def is_number(text: str) -> bool:
    """Whether Python reads the text as a float."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _drop_word(word: str) -> str:
    word = word.lower()
    if not is_number(word):
        word = "".join(ch for ch in word if ch not in _PUNCTUATION)
    if is_number(word):
        word = str(float(word))
    return " ".join(_ARTICLES.sub(" ", word).split())
