"""What must hold before a run starts, so that it fails early and harms nothing."""

from __future__ import annotations

from pydantic import ValidationError

from hgr_tf.data.manifest import FILE_NAME, Manifest, ManifestError
from hgr_tf.features import FeatureSpec
from hgr_tf.features.histories import SPLIT
from hgr_tf.features.past import sections, splits_follow, unknown_buckets
from hgr_tf.features.splits import TRAIN, check_split_names
from hgr_tf.features.strict_model import describe
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.files import exists, join, local_copy, read_bytes
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.sources.base import table_of


def check(settings: Settings, spec_path: str | None) -> None:
    """Checks a run that is otherwise complete.

    Args:
        settings: Settings of the run.
        spec_path: File of the spec, if it came from one.

    Raises:
        PrepareError: The output holds what the run reads; splits are missing,
            unknown or wrongly named; or the encoding to take over is absent or
            not one of this spec.
    """
    _check_output(settings, spec_path)
    _check_splits(settings)
    _check_past(settings)
    if settings.encoding_from:
        _check_encoding(settings, settings.encoding_from)
    elif settings.grow_vocabularies:
        raise PrepareError(
            "--grow-vocabularies needs --encoding-from, whose vocabularies grow; "
            "got none"
        )
    if settings.evict_after_days and not settings.grow_vocabularies:
        raise PrepareError(
            "--evict-after-days needs --grow-vocabularies, whose new values take the "
            "ids of old ones; got none"
        )


def _check_output(settings: Settings, spec_path: str | None) -> None:
    tables = (file for files in settings.tables.values() for file in files)
    files = [*settings.log_files, *tables, settings.code_table]
    read = [spec_path, settings.encoding_from, *(file.path for file in files if file)]
    folder = settings.output.rstrip("/") + "/"
    inside = [p for p in read if p and f"{table_of(p)}/".startswith(folder)]
    if inside:  # a run removes what an earlier one left there
        raise PrepareError(
            f"{settings.output}: holds {inside[0]}, which the run reads; "
            "the output needs a folder of its own"
        )


def _check_splits(settings: Settings) -> None:
    try:
        check_split_names(settings.splits)
    except ValueError as error:
        raise PrepareError(str(error)) from error
    if TRAIN not in settings.splits and not settings.encoding_from:
        raise PrepareError(
            f"no input is given for {TRAIN!r}, which vocabularies are learned from; "
            f"got {list(settings.splits)}: name one, or give --encoding-from"
        )
    negatives = settings.spec.negatives
    unknown = set(negatives.splits if negatives else ()) - set(settings.splits)
    if unknown:
        raise PrepareError(
            f"negatives.splits must be among {list(settings.splits)}, "
            f"got {sorted(unknown)}"
        )


def _check_past(settings: Settings) -> None:
    """Every named split is there, and "train" has a past."""
    follow = splits_follow(settings.spec)
    for place, section in sections(settings.spec).items():
        if isinstance(section.as_of, dict):
            unknown = sorted(set(section.as_of) - set(settings.splits))
            if unknown:
                raise PrepareError(
                    f"{place}.as_of must name splits among {list(settings.splits)}, "
                    f"got {unknown}"
                )
        at_split = section.moment(TRAIN, follow) == SPLIT
        if TRAIN in settings.splits and at_split and not settings.history_from:
            raise PrepareError(
                f"{place}.as_of: 'split' leaves the rows of {TRAIN!r} without any "
                f"past; leave {TRAIN!r} out of it, or give --history-from"
            )
    for name, key in unknown_buckets(settings.spec).items():
        raise PrepareError(
            f"counters.{name}.by: rows are counted by the bucket of {key!r}, so its "
            "`boundaries` must be given; those of `num_buckets` are only learned from "
            "all rows"
        )


def _check_encoding(settings: Settings, folder: str) -> None:
    try:
        if not _is_of_a_run(folder):
            manifest = Manifest.model_validate_json(read_bytes(join(folder, FILE_NAME)))
            manifest.check_encoding_files(local_copy(folder))
    except ValidationError as error:
        raise PrepareError(f"{folder}: {FILE_NAME}: {describe(error)}") from error
    except ManifestError as error:
        raise PrepareError(str(error)) from error
    text = read_bytes(join(folder, "spec.yaml")).decode()
    before = _meanings(FeatureSpec.from_yaml(text, source=folder))
    for name, meaning in _meanings(settings.spec).items():
        is_new = name not in before and settings.grow_vocabularies
        if not is_new and before.get(name) != meaning:
            raise PrepareError(
                f"{folder}: feature {name!r} is {before.get(name, 'absent')} there "
                f"and {meaning} in the spec, so its encoding cannot be taken over"
            )


def _is_of_a_run(folder: str) -> bool:
    """Whether an encoding is the copy that `hgr-tf train` keeps in a run folder.

    Raises:
        PrepareError: It is neither that nor a finished output.
    """
    if exists(join(folder, FILE_NAME)):
        return False
    run, _, name = folder.rstrip("/").rpartition("/")
    # encoding.json is the last file of the copy to be written.
    copied = name == "encoding" and exists(join(folder, "encoding.json"))
    if copied and exists(join(run, "config.yaml")):
        return True
    raise PrepareError(
        f"{folder}: no {FILE_NAME}: not a finished output, nor the encoding of a run"
    )


def _meanings(spec: FeatureSpec) -> dict[str, dict]:
    return {
        f.name: f.transform.model_dump(exclude=set(f.transform.FREE))
        for f in spec.features()
    }
