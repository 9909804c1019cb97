"""Checks a download of KuaiRand-Pure: the files, their columns, and their rows.

python examples/kuairand_pure/check_download.py KuaiRand-Pure/data
"""

from pathlib import Path
from typing import Annotated

import pyarrow.csv
import typer

from hgr_tf.features import FeatureSpec

SPEC = FeatureSpec.load(Path(__file__).with_name("spec_published.yaml"))
LOGS = ("log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv")
TABLES = {
    "user": ("user_features_pure.csv", 27_285),
    "item": ("video_features_basic_pure.csv", 7_583),
}
"""File and rows of the table of each side, as published."""


def main(
    folder: Annotated[Path, typer.Argument(help="The folder `data` of the download.")],
) -> None:
    """Prints what is there; exits with 1 and what is wrong otherwise."""
    columns = SPEC.log_columns()
    faults = [fault for name in LOGS for fault in check(folder / name, columns)]
    for owner, (name, rows) in TABLES.items():
        faults += check(folder / name, SPEC.table_columns(owner), rows)
    for fault in faults:
        typer.echo(fault, err=True)
    if faults:
        typer.echo("Get KuaiRand-Pure.tar.gz from https://kuairand.com", err=True)
        raise typer.Exit(1)


def check(path: Path, columns: list[str], rows: int | None = None) -> list[str]:
    """What is wrong with a file; prints its rows if nothing is."""
    if not path.exists():
        return [f"{path}: missing"]
    table = pyarrow.csv.read_csv(path)
    if absent := [name for name in columns if name not in table.column_names]:
        return [f"{path}: no column {absent}; it has {table.column_names}"]
    if rows is not None and table.num_rows != rows:
        return [f"{path}: {table.num_rows:,} rows, published are {rows:,}"]
    typer.echo(f"{path}: {table.num_rows:,} rows")
    return []


if __name__ == "__main__":
    typer.run(main)
