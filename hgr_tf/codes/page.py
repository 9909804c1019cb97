"""The page of codes: the trie, and what is in each group."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from hgr_tf.codes.groups import Group
from hgr_tf.codes.trie_plot import trie_plot


def html_page(title: str, groups: Sequence[Group], of: str, split: str) -> str:
    """One HTML page without scripts or downloads.

    Args:
        title: Heading.
        groups: Groups with rows, as `describe_groups` gives them.
        of: "users" or "items".
        split: Name of the split whose rows were counted.

    Raises:
        ValueError: There are no groups.
    """
    if not groups:
        raise ValueError(f"no row of {split!r} is of {of} that have codes")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hgr_tf.codes", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("codes.html.jinja").render(
        title=title,
        groups=sorted(groups),
        of=of,
        split=split,
        trie=Markup(trie_plot(groups)),
    )
