"""Which of several heads a comparison is of."""

from __future__ import annotations

from hgr_tf.comparing.config import CompareConfig
from hgr_tf.comparing.predicting import chosen_head
from hgr_tf.data import PreparedData
from hgr_tf.models.heads import ONE_OUTPUT


def with_head(config: CompareConfig) -> CompareConfig:
    """Returns the comparison with its head, the first one where it names none.

    Raises:
        ValueError: There is no such head, the methods judge it on different rows, or
            it is to be sliced and is not judged on all rows.
    """
    runs = {name: config.run(name, config.seeds[0]) for name in config.methods}
    path = runs[config.baseline].data.path
    if path is None:  # training tells of it
        return config
    spec = PreparedData.load(path).encoding.spec
    head = chosen_head(tuple(spec.labels) or ONE_OUTPUT, config.head, "`head`")
    if head == ONE_OUTPUT[0]:
        return config
    judged = {name: run.given(spec).get(head) for name, run in runs.items()}
    if len(set(judged.values())) > 1:
        raise ValueError(
            "`head` must be one that every method judges on the same rows, got "
            f"{head!r} with {judged}: set its `entire_space` alike in all methods"
        )
    if config.slices and judged[config.baseline]:
        raise ValueError(
            f"`slices` must be of a head that is judged on all rows, got {head!r}, "
            f"which is judged where {judged[config.baseline]!r} is positive"
        )
    return config.model_copy(update={"head": head})
