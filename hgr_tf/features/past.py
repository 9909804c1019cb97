"""What a spec's `history` and `counters` sections mean: checks and features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features.durations import in_units
from hgr_tf.features.histories import DAY, LABEL_KEY, ROW, SPLIT, AsOf, Counter
from hgr_tf.features.history_list import HistoryList
from hgr_tf.features.kind import Learned
from hgr_tf.features.kinds.bucketized import Bucketized
from hgr_tf.features.kinds.numeric import Numeric
from hgr_tf.features.splits import RandomSplit, UserSplit

if TYPE_CHECKING:
    from hgr_tf.features.histories import History
    from hgr_tf.features.spec import Feature, FeatureSpec, Owner

_MIXED_IN_TIME = (RandomSplit, UserSplit)


def past_features(
    spec: FeatureSpec,
) -> Iterator[tuple[Owner, str, HistoryList | Numeric]]:
    """Yields (owner, name, transform) of each feature made of earlier rows."""
    kinds = {f.name: f.transform for f in spec.given_features()} if spec.history else {}
    for name, history in spec.history.items():
        for listed in history.listed:
            yield (
                "user",
                history_feature(name, listed),
                HistoryList(
                    history=name,
                    shares=listed,
                    of=kinds[listed],
                    length=history.length,
                    newest_first=history.newest_first,
                ),
            )
    for name, counter in spec.counters.items():
        for feature, statistic in counter_features(name, counter).items():
            default = _default(counter, statistic)
            transform = Numeric(log1p=statistic != "rate", default=default)
            yield _owner_of(counter, spec), feature, transform


def history_feature(history: str, listed: str) -> str:
    """Name of a history's feature, such as "watched_item_id"."""
    return f"{history}_{listed}"


def counter_features(name: str, counter: Counter) -> dict[str, str]:
    """Names of a counter's features, in order, each with its statistic."""
    return {
        counter_feature(name, window, statistic): statistic
        for window in counter.windows
        for statistic in counter.statistics
    }


def counter_feature(counter: str, window: int | str, statistic: str) -> str:
    """Name of a counter's feature, such as "user_rate_7d_exposures"."""
    return f"{counter}_{window}_{statistic}"


def splits_follow(spec: FeatureSpec) -> bool:
    """Whether each split lies after the one before it in time."""
    return not isinstance(spec.split, _MIXED_IN_TIME)


def owner_of_key(key: str, spec: FeatureSpec) -> Owner:
    """Whether a key of a counter tells of the user, the item or the context."""
    ids: dict[str, Owner] = {spec.user_id: "user", spec.item_id: "item"}
    return ids.get(key) or spec.feature(key).owner


def key_values(key: str, values: pa.Array, spec: FeatureSpec) -> pa.Array:
    """The values of a counter's key as rows share them: of numbers, the buckets.

    Buckets that are learned from all rows are not known where rows are counted;
    `unknown_buckets` names such keys.

    Args:
        key: A feature, or the user or item id.
        values: `[n]` raw values, null where missing.
        spec: The spec.
    """
    if key in (spec.user_id, spec.item_id):
        return values
    kind = spec.feature(key).transform
    if not isinstance(kind, Bucketized) or kind.boundaries is None:
        return values
    values = values.cast(pa.float32())
    (ids,) = kind.encoder(Learned(boundaries=kind.boundaries))(values)
    return pc.if_else(values.is_null(), None, ids.cast(pa.string()))


def unknown_buckets(spec: FeatureSpec) -> dict[str, str]:
    """The counters by a number whose buckets are learned: counter -> feature."""
    found = {}
    for name, counter in spec.counters.items():
        for key in set(counter.by) - {spec.user_id, spec.item_id}:
            kind = spec.feature(key).transform
            if isinstance(kind, Bucketized) and kind.boundaries is None:
                found[name] = key
    return found


def is_of_user(counter: Counter, spec: FeatureSpec) -> bool:
    """Whether every row that a counter counts is of the row's own user."""
    return spec.user_id in counter.by


def sees_labels(history: History, spec: FeatureSpec) -> bool:
    """Whether it depends on labels which rows a history lists."""
    return any(spec.label_name(name) for name in history.where)


def request_columns(spec: FeatureSpec) -> list[str]:
    """Columns of the log that name requests, each once."""
    found = [m for section in sections(spec).values() for m in section.moments]
    return list(dict.fromkeys(m for m in found if m not in (ROW, DAY, SPLIT)))


def sections(spec: FeatureSpec) -> dict[str, AsOf]:
    """The histories and counters by their place in the spec."""
    histories = {f"history.{name}": h for name, h in spec.history.items()}
    return histories | {f"counters.{name}": c for name, c in spec.counters.items()}


def check_past(spec: FeatureSpec) -> None:
    """Checks the sections against the rest of the spec.

    Raises:
        ValueError: Names the field, what it must be and what came.
    """
    if spec.order and spec.time:
        raise ValueError(
            "`order` is for logs without times, so `time` must not be given too, "
            f"got order {spec.order!r} and time {spec.time!r}"
        )
    for place, section in sections(spec).items():
        if not (spec.time or spec.order):
            raise ValueError(
                f"{place} needs `time`, or `order`: a column that orders the rows of "
                "a user"
            )
        _check_moments(place, section, spec)
    for name, history in spec.history.items():
        _check_history(f"history.{name}", history, spec)
    for name, counter in spec.counters.items():
        _check_counter(f"counters.{name}", counter, spec)


def _check_moments(place: str, section: AsOf, spec: FeatureSpec) -> None:
    spans = [section.delay, section.label_delay]
    spans += [w for w in getattr(section, "windows", ()) if w != "all"]
    for span in spans:
        if span and not spec.time:
            raise ValueError(f"{place}: {span!r} needs `time`, got `order` alone")
        in_units(span, spec.time_unit)
    if DAY in section.moments and not spec.time_unit:
        raise ValueError(f"{place}.as_of: 'day' needs `time` and `time_unit`")
    if SPLIT in section.moments and isinstance(spec.split, _MIXED_IN_TIME):
        raise ValueError(
            f"{place}.as_of: 'split' needs splits that follow each other in time, "
            f"got split by {spec.split.by!r}"
        )


def _check_history(place: str, history: History, spec: FeatureSpec) -> None:
    if history.by not in (None, spec.user_id):
        raise ValueError(
            f"{place}.by must be the user id {spec.user_id!r}, got {history.by!r}"
        )
    for name in history.listed:
        transform = _feature(f"{place}.of or with", name, spec).transform
        if not transform.is_categorical or len(transform.forms) > 1:
            raise ValueError(
                f"{place}: {name!r} must be a feature of ids alone, got one of type "
                f"{transform.type!r}"
            )
    for name in history.where:
        if spec.label_name(name) is None:
            transform = _feature(f"{place}.where", name, spec).transform
            if transform.is_multivalued:
                raise ValueError(f"{place}.where: {name!r} must not hold lists")


def _check_counter(place: str, counter: Counter, spec: FeatureSpec) -> None:
    for key in counter.by:
        if key not in (spec.user_id, spec.item_id):
            _feature(f"{place}.by", key, spec)
    if spec.label_name(counter.of) is None:
        raise ValueError(
            f"{place}.of must be a label, among {[LABEL_KEY, *spec.labels]}, got "
            f"{counter.of!r}"
        )
    if is_of_user(counter, spec):
        return
    if spec.order:
        raise ValueError(
            f"{place} counts rows of many users, which `order` does not order: give "
            f"`time`, or add {spec.user_id!r} to `by`"
        )
    requests = set(counter.moments) - {ROW, DAY, SPLIT}
    if requests:
        raise ValueError(
            f"{place}.as_of must be 'row', 'day' or 'split' unless `by` holds "
            f"{spec.user_id!r}, got {sorted(requests)}"
        )


def _feature(place: str, name: str, spec: FeatureSpec) -> Feature:
    for feature in spec.given_features():
        if feature.name == name:
            return feature
    names = [f.name for f in spec.given_features()]
    raise ValueError(f"{place} must name features of the spec {names}, got {name!r}")


def _owner_of(counter: Counter, spec: FeatureSpec) -> Owner:
    owners = [owner_of_key(key, spec) for key in counter.by]
    return min(owners, key=("item", "context", "user").index)


def _default(counter: Counter, statistic: str) -> float:
    return counter.prior if statistic == "rate" else 0.0
