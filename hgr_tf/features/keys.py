"""Reserved keys of a training example, beside one key per feature.

Feature names may not start with two underscores, so these never collide.
"""

LABEL = "__label__"
"""float: the label after the spec's threshold; of a spec with one label."""

WEIGHT = "__weight__"
"""float: the sample weight; written only when the spec or sampling gives one."""

TIME = "__time__"
"""int64: the time column as it came; written only when the spec names one."""

USER = "__user__"
"""int64: the user, as an integer id or the FarmHash fingerprint of a string id."""

ITEM = "__item__"
"""int64: the item, in the same form as the user."""

RESERVED = (LABEL, WEIGHT, TIME, USER, ITEM)


def label_key(name: str) -> str:
    """Key of one label of several: float, after its threshold."""
    return f"__label_{name}__"


def weight_key(name: str) -> str:
    """Key of the weight of one label of several, where the spec gives it one."""
    return f"__weight_{name}__"
