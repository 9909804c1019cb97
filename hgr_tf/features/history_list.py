"""HistoryList: how the events of a history become ids."""

from __future__ import annotations

from typing import Literal

from hgr_tf.features.strict_model import Strict
from hgr_tf.features.transforms import Dtype, Transform


class HistoryList(Strict):
    """A list of one feature's values in the events of a history.

    The ids are those of the feature `shares`, and so is the embedding table. An
    event takes `width` places, so that place i * width belongs to the i-th event
    in every list of a history; 0 is padding or missing. Not written in specs: the
    `history` section makes them.

    Attributes:
        history: Name of the history.
        shares: The feature whose values are listed.
        of: Its transform.
        length: Events kept, the newest ones.
        newest_first: Whether the list starts at the newest event. Padding lies at
            the end of the oldest.
    """

    type: Literal["history"] = "history"
    history: str
    shares: str
    of: Transform
    length: int
    newest_first: bool

    @property
    def column(self) -> None:
        """Column of the log: none."""
        return None

    @property
    def dtype(self) -> Dtype:
        """Type of the raw values."""
        return self.of.dtype

    @property
    def is_categorical(self) -> bool:
        """Whether the model sees ids: yes."""
        return True

    @property
    def is_multivalued(self) -> bool:
        """Whether an example holds a list of ids: yes."""
        return True

    @property
    def width(self) -> int:
        """Places of an event: more than 1 if its feature is multi-valued."""
        return self.of.max_length if self.of.is_multivalued else 1

    @property
    def max_length(self) -> int:
        """Places of the whole list."""
        return self.length * self.width
