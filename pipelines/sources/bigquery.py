"""BigQuery: paths of tables, `bigquery://project.dataset.table`.

It is no `Source`: Beam reads the rows, see `hgr_tf.pipelines.steps.from_bigquery`.
"""

from __future__ import annotations

import re

from hgr_tf.pipelines.errors import PrepareError

SCHEME = "bigquery://"

_TABLE = re.compile(rf"{SCHEME}([\w:.-]+)\.(\w+)\.([\w$-]+)")


def is_bigquery(path: str) -> bool:
    """Whether a path is that of a table of BigQuery."""
    return path.startswith(SCHEME)


def table_reference(path: str) -> str:
    """The name of a table as Beam takes it.

    Raises:
        PrepareError: The path names no table.

    Example:
        >>> table_reference("bigquery://a-project.logs.clicks")
        'a-project:logs.clicks'
    """
    found = _TABLE.fullmatch(path)
    if not found:
        raise PrepareError(
            f"{path}: expected {SCHEME}project.dataset.table, a table of BigQuery"
        )
    project, dataset, table = found.groups()
    return f"{project}:{dataset}.{table}"
