"""OffsetTokenizer: text to token ids, and where each token is in the text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hgr_tf.qa.example import Span

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
"""Name of a tokenizer's file, as the Hugging Face layout has it."""

_STYLES = {
    "bert": ("[CLS]", "[SEP]", "[PAD]"),
    "roberta": ("<s>", "</s>", "<pad>"),
}


class Tokens(NamedTuple):
    """Tokens of a text: their ids, and the characters that each covers."""

    ids: list[int]
    offsets: list[Span]


class OffsetTokenizer:
    """A tokenizer of the `tokenizers` library, with what pairs of texts need.

    Args:
        tokenizer: Its special tokens say how a pair is written: as BERT does,
            [CLS] question [SEP] text [SEP], or as RoBERTa does,
            <s> question </s></s> text </s>.

    Attributes:
        style: "bert" or "roberta".
        pad_id: Id of padding.

    Raises:
        ValueError: The tokenizer has neither BERT's nor RoBERTa's special tokens.

    Example:
        >>> tokenizer = OffsetTokenizer.load("all-MiniLM-L6-v2")
        >>> tokenizer.encode(["Ann came."])[0].offsets
        [(0, 3), (4, 8), (8, 9)]
    """

    def __init__(self, tokenizer: Tokenizer):
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        for style, tokens in _STYLES.items():
            ids = [tokenizer.token_to_id(token) for token in tokens]
            known = [number for number in ids if number is not None]
            if len(known) == len(tokens):
                self.style = style
                self._begin, self._end, self.pad_id = known
                return
        raise ValueError(
            "`tokenizer` must have the special tokens of BERT "
            f"({', '.join(_STYLES['bert'])}) or of RoBERTa "
            f"({', '.join(_STYLES['roberta'])})"
        )

    @classmethod
    def load(cls, folder: str | Path) -> OffsetTokenizer:
        """Reads tokenizer.json of a folder.

        Raises:
            ImportError: The extra `qa` is not installed.
            ValueError: The folder holds no tokenizer.json.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ImportError(
                "question answering needs tokenizers: `pip install '.[qa]'` in "
                "hgr_tf's clone"
            ) from error
        path = Path(folder) / FILE
        if not path.is_file():
            raise ValueError(f"{folder}: no {FILE} there")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exceptions
            raise ValueError(f"{path}: not a tokenizer: {error}") from error
        return cls(tokenizer)

    def save(self, folder: str | Path) -> None:
        """Writes tokenizer.json into a folder."""
        self._tokenizer.save(str(Path(folder) / FILE))

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, the special ones included."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, without special ones.

        Offsets leave white space around a token out. A token that is nothing else,
        and text that the tokenizer drops, such as control characters, has no token.
        """
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            _trimmed(text, tokens.ids, tokens.offsets)
            for text, tokens in zip(texts, encoded, strict=True)
        ]

    def prefix(self, question: Sequence[int]) -> list[int]:
        """What comes before a text: the question between special tokens."""
        ends = 1 if self.style == "bert" else 2
        return [self._begin, *question, *[self._end] * ends]

    @property
    def suffix(self) -> list[int]:
        """What comes after a text."""
        return [self._end]


def _trimmed(text: str, ids: Sequence[int], offsets: Sequence[Span]) -> Tokens:
    kept = Tokens([], [])
    for token, (start, end) in zip(ids, offsets, strict=True):
        piece = text[start:end]
        inner = piece.strip()
        if not inner:
            continue
        start += len(piece) - len(piece.lstrip())
        kept.ids.append(token)
        kept.offsets.append((start, start + len(inner)))
    return kept
