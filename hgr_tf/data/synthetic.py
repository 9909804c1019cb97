"""Synthetic interaction logs with a learnable, hierarchical taste. No TensorFlow.

Users sit in a tree of clusters: the taste of a user is the sum of a vector of
each cluster it is in, coarse to fine, and a little of its own. Users of one
cluster are shown alike items, so the negatives of alike users are hard. On demand
some clicks become purchases, and a row's place on its page moves its clicks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

SPEC = """\
name: synthetic
user_id: user_id
item_id: item_id
{labels}
time: time
time_unit: s
split: {{by: time, starts: {{val: {last_day}}}}}
user:
  user_id: {{type: categorical, dtype: int64, min_count: 2}}
  country: {{type: categorical}}
  age: {{type: bucketized, num_buckets: 8}}
  activity: {{type: numeric, log1p: true}}
item:
  item_id: {{type: categorical, dtype: int64, min_count: 2}}
  category: {{type: categorical}}
  tags: {{type: multi_categorical, delimiter: ",", max_length: 4}}
  seller: {{type: hashed, num_buckets: 128}}
  price: {{type: numeric, log1p: true}}
context:
  device: {{type: categorical}}
  hour: {{type: bucketized, boundaries: [6, 9, 12, 15, 18, 21]}}
{position}tables:
  user: {{key: user_id, path: users.csv}}
  item: {{key: item_id, path: items.csv}}
"""

ONE_LABEL = "label: click"
SEVERAL_LABELS = "labels: {click: click, purchase: {column: purchase, given: click}}"
POSITION = "  position: {type: categorical, dtype: int64}\n"

COUNTRIES = np.array(["BR", "DE", "FR", "IN", "JP", "US"])
DEVICES = np.array(["phone", "tablet", "desktop"])
NUM_CATEGORIES = 12
NUM_TAGS = 40
NUM_POSITIONS = 10
TASTE_DIM = 8
DAY = 86_400
START = 1_767_225_600  # 2026-01-01 00:00 UTC


@dataclass(frozen=True)
class SyntheticLogs:
    """What `write_logs` wrote.

    Attributes:
        log: Parquet file of interactions, ascending in time.
        spec: The feature spec. It names the user and item tables beside it,
            and makes the last day the validation split.
        probability: The true click probability of each row, [rows] float64.
        relevance: The same as if each row had stood at position 1, [rows] float64.
        purchase: The true probability that a click on the row becomes a purchase,
            [rows] float64; None without purchases.
    """

    log: Path
    spec: Path
    probability: np.ndarray
    relevance: np.ndarray
    purchase: np.ndarray | None


def write_logs(
    folder: str | Path,
    *,
    rows: int = 200_000,
    users: int = 2_000,
    items: int = 600,
    days: int = 7,
    branching: int = 4,
    levels: int = 3,
    taste_strength: float = 1.0,
    shown_by_taste: float = 0.5,
    intercept: float = -2.6,
    cluster_bias: float = 0.0,
    purchase_rate: float = 0.0,
    position_effect: float = 0.0,
    seed: int = 0,
) -> SyntheticLogs:
    """Writes logs.parquet, users.csv, items.csv and spec.yaml.

    P(click) = sigmoid(taste_strength * taste(user) . topic(item) + bias(user)
    + quality(item) + effect(device) + effect(hour) + intercept
    + cluster_bias * bias(cluster) - position_effect * log(position)); about a quarter
    are clicks by default.

    P(purchase | click) = sigmoid(taste_strength * taste(user) . topic(item) +
    bias(user) + value(item) - log(price of the item / median price) + constant), where
    bias and value are others than those of clicks.

    Args:
        folder: Made if needed; files of these names are replaced.
        rows: Interactions.
        users: Number of users, their activity log-normal.
        items: Number of items, their popularity log-normal.
        days: Days that the log spans, at least 2.
        branching: Clusters within each cluster.
        levels: Depth of the tree of clusters.
        taste_strength: How much tastes move clicks; at 0 a user is only a bias.
        shown_by_taste: Share of the rows whose item was shown because the user's
            cluster likes such items; the others are shown by popularity. It decides
            how alike what a cluster is shown is, and so how hard its negatives are.
        intercept: Logit of a click before all else; it decides the share of clicks.
        cluster_bias: Standard deviation of a bias that the users of a cluster share, so
            that a negative of another cluster is easy, and one of the own is not.
        purchase_rate: Share of the clicks that are purchases, about; at 0 there are
            none. Otherwise the log has the column `purchase`, and the spec the labels
            `click` and `purchase`, given a click.
        position_effect: How much lower places on a page are clicked less. Where it is
            not 0 the log has the column `position`, 1 to `NUM_POSITIONS`, and so has
            the spec. Popular items stand higher as a rule: whoever takes clicks for
            relevance overrates them.
        seed: Equal seeds give equal files.

    Returns:
        Paths and the true probabilities.

    Raises:
        ValueError: A size is not positive, or `shown_by_taste` or `purchase_rate` is no
            share.
    """
    sizes = dict(rows=rows, users=users, items=items)
    sizes |= dict(branching=branching, levels=levels)
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"`{name}` must be at least 1, got {size}")
    if days < 2:
        raise ValueError(f"`days` must be at least 2, got {days}")
    if not 0 <= shown_by_taste <= 1:
        raise ValueError(f"`shown_by_taste` must be in [0, 1], got {shown_by_taste}")
    if not 0 <= purchase_rate < 1:
        raise ValueError(f"`purchase_rate` must be in [0, 1), got {purchase_rate}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)

    cluster = rng.integers(branching**levels, size=users)
    taste = _tastes(rng, cluster, branching, levels)
    category = rng.integers(NUM_CATEGORIES, size=items)
    topic = _topics(rng, category)

    activity = rng.lognormal(0.0, 0.8, users)
    user = rng.choice(users, rows, p=activity / activity.sum())
    item = _exposures(rng, user, cluster, taste, topic, shown_by_taste)
    time = np.sort(rng.integers(days * DAY, size=rows)) + START
    hour = time // 3_600 % 24
    device = rng.choice(len(DEVICES), rows, p=[0.6, 0.1, 0.3])

    user_bias = rng.normal(0.0, 0.4, users)
    quality = rng.normal(0.0, 0.4, items)
    interest = taste_strength * np.einsum("rd,rd->r", taste[user], topic[item])
    logit = (
        interest
        + user_bias[user]
        + quality[item]
        + np.array([0.1, 0.0, -0.2])[device]
        + 0.3 * np.sin((hour - 14) * np.pi / 12)
        + intercept
    )
    # Draws of their own: logs without what follows stay what they are.
    own = np.random.default_rng((seed, 2))
    logit += cluster_bias * own.normal(size=branching**levels)[cluster[user]]
    relevance = _sigmoid(logit)
    more = np.random.default_rng((seed, 1))
    position = _positions(more, item)
    probability = _sigmoid(logit - position_effect * np.log(position))
    click = (rng.random(rows) < probability).astype(np.int8)
    users_table = _user_table(rng, cluster, activity, branching**levels)
    items_table = _item_table(rng, category)

    log = {"user_id": user, "item_id": item, "time": time, "click": click}
    log |= {"device": DEVICES[device], "hour": hour.astype(np.int32)}
    if position_effect:
        log["position"] = position
    purchase = None
    if purchase_rate:
        price = np.log(items_table["price"].to_numpy())
        value = more.normal(0.0, 0.5, items) - (price - np.median(price))
        appeal = interest + more.normal(0.0, 0.4, users)[user] + value[item]
        purchase = _sigmoid(appeal + _constant(appeal[click > 0], purchase_rate))
        log["purchase"] = click * (more.random(rows) < purchase)
    path = folder / "logs.parquet"
    pa.parquet.write_table(pa.table(log), path, row_group_size=50_000)
    pa.csv.write_csv(users_table, folder / "users.csv")
    pa.csv.write_csv(items_table, folder / "items.csv")
    spec = folder / "spec.yaml"
    text = SPEC.format(
        last_day=START + (days - 1) * DAY,
        labels=SEVERAL_LABELS if purchase_rate else ONE_LABEL,
        position=POSITION if position_effect else "",
    )
    spec.write_text(text, encoding="utf-8")
    return SyntheticLogs(path, spec, probability, relevance, purchase)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logit))


def _positions(rng: np.random.Generator, item: np.ndarray) -> np.ndarray:
    """[rows] int64 positions, each in as many rows; popular items stand higher."""
    popularity = np.log(np.bincount(item)[item])
    score = popularity + popularity.std() * rng.normal(size=len(item))
    rank = np.argsort(np.argsort(-score))
    return 1 + rank * NUM_POSITIONS // len(item)


def _constant(logit: np.ndarray, rate: float) -> float:
    """What must be added to logits for their mean probability to be the rate."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        if _sigmoid(logit + middle).mean() < rate:
            low = middle
        else:
            high = middle
    return middle


def _tastes(
    rng: np.random.Generator, cluster: np.ndarray, branching: int, levels: int
) -> np.ndarray:
    """[users, TASTE_DIM]: coarse clusters weigh most."""
    taste = rng.normal(0.0, 0.15, (len(cluster), TASTE_DIM))
    for level in range(1, levels + 1):
        ancestor = cluster // branching ** (levels - level)
        center = rng.normal(0.0, 0.75**level, (branching**level, TASTE_DIM))
        taste += center[ancestor]
    return taste


def _topics(rng: np.random.Generator, category: np.ndarray) -> np.ndarray:
    """[items, TASTE_DIM]: a category's direction and the item's own."""
    center = rng.normal(0.0, 0.45, (NUM_CATEGORIES, TASTE_DIM))
    return center[category] + rng.normal(0.0, 0.3, (len(category), TASTE_DIM))


def _exposures(
    rng: np.random.Generator,
    user: np.ndarray,
    cluster: np.ndarray,
    taste: np.ndarray,
    topic: np.ndarray,
    shown_by_taste: float,
) -> np.ndarray:
    """[rows] items: by what the cluster likes, or by popularity."""
    items = len(topic)
    popularity = rng.lognormal(0.0, 1.0, items)
    chosen = rng.choice(items, len(user), p=popularity / popularity.sum())
    by_taste = rng.random(len(user)) < shown_by_taste
    for index in np.unique(cluster):
        members = cluster == index
        score = topic @ taste[members].mean(axis=0)
        weight = popularity * np.exp(score - score.max())
        row = np.flatnonzero(by_taste & members[user])
        chosen[row] = rng.choice(items, len(row), p=weight / weight.sum())
    return chosen


def _user_table(
    rng: np.random.Generator, cluster: np.ndarray, activity: np.ndarray, clusters: int
) -> pa.Table:
    users = len(cluster)
    country = COUNTRIES[cluster * len(COUNTRIES) // clusters]
    moved = rng.random(users) < 0.3
    country[moved] = rng.choice(COUNTRIES, moved.sum())
    country[rng.random(users) < 0.05] = ""  # missing
    return pa.table(
        {
            "user_id": np.arange(users),
            "country": country,
            "age": rng.integers(16, 80, users),
            "activity": np.round(activity * 20).astype(np.int64),
        }
    )


def _item_table(rng: np.random.Generator, category: np.ndarray) -> pa.Table:
    items = len(category)
    tags = [
        ",".join(f"tag{(c * 3 + t) % NUM_TAGS}" for t in np.unique(drawn))
        for c, drawn in zip(category, rng.integers(6, size=(items, 3)), strict=True)
    ]
    return pa.table(
        {
            "item_id": np.arange(items),
            "category": [f"category{c}" for c in category],
            "tags": tags,
            "seller": [f"seller{s}" for s in rng.integers(60, size=items)],
            "price": np.round(rng.lognormal(3.0, 0.7, items), 2),
        }
    )
