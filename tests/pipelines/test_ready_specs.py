"""The specs that ship, on small files in the layout of each data set."""

import csv
import os
from pathlib import Path

import pytest

from hgr_tf.features import FeatureEncoding
from tests.pipelines.conftest import examples

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHARED = Path(os.environ.get("HGR_SHARED_DATA", ROOT.parent / "shared" / "data"))

USER_FEATURES = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,"
    "follow_user_num,follow_user_num_range,fans_user_num,fans_user_num_range,"
    "friend_user_num,friend_user_num_range,register_days,register_days_range,"
    + ",".join(f"onehot_feat{i}" for i in range(18))
)
VIDEO_FEATURES = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,"
    "server_width,server_height,music_id,music_type,tag"
)
LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,"
    "is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,"
    "comment_stay_time,is_profile_enter,is_rand,tab"
)


def write(path, header, *rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        if header:
            file.write(header + "\r\n")
        writer.writerows(rows)
    return str(path)


def kuairand_tables(folder):
    range_ = ["[10,100)", 3, "[1,5)", 1474, "730+"]
    users = [
        [i, "full_active", 0, -124, 1, 457, "(250,500]", 20, *range_, *[i % 3] * 12]
        + (["", "", "", "", "", ""] if i else ["0.0"] * 6)
        for i in range(3)
    ]
    size = ["720.0", "1280.0", "6355810746", "9.0"]
    videos = [
        [0, 7349781, "NORMAL", "2022-04-10", "Web", "0.0", "87433.0", *size, "39"],
        [1, 2103883, "UNKNOWN", "2022-04-10", "Kmovie", "0.0", "", *size, "25,9"],
    ]
    return {
        "user_table": write(folder / "user_features_pure.csv", USER_FEATURES, *users),
        "item_table": write(
            folder / "video_features_basic_pure.csv", VIDEO_FEATURES, *videos
        ),
    }


def kuairand_row(user, video, date, time_ms, long_view):
    middle = [1, 0, 0, 0, 0, 0]
    return [user, video, date, 900, time_ms, *middle, long_view, 5, 9, 0, 0, 0, 0, 1]


def test_kuairand_as_published(run, tmp_path):
    april, may = 1_649_400_000_000, 1_651_700_000_000
    write(
        tmp_path / "log_standard_4_08_to_4_21_pure.csv",
        LOG,
        kuairand_row(0, 0, 20220408, april, 1),
        kuairand_row(1, 1, 20220408, april, 0),
    )
    write(
        tmp_path / "log_standard_4_22_to_5_08_pure.csv",
        LOG,
        kuairand_row(2, 1, 20220505, may, 1),
    )
    folder, manifest = run(
        EXAMPLES / "kuairand_pure" / "spec_published.yaml",
        [str(tmp_path / "log_standard_*.csv")],
        **kuairand_tables(tmp_path),
    )
    assert {n: s.rows for n, s in manifest.splits.items()} == {"train": 2, "test": 1}
    encoding = FeatureEncoding.load(folder)
    assert set(encoding.vocabularies["tag"]) == {"39", "25", "9"}
    assert encoding.vocabularies["video_type"] == ("NORMAL",)
    (row,) = examples(folder, "test")
    assert len(row["tag"]) == 2 and row["video_duration"] == 0


def test_kuairand_partial(run, tmp_path):
    data = SHARED / "kuairand_pure_partial"
    if not data.exists():
        pytest.skip(f"no data in {data}")
    _, manifest = run(
        EXAMPLES / "kuairand_pure" / "spec.yaml",
        [f"train={data}/val.parquet"],
        user_table=data / "user_features_pure.csv",
        item_table=data / "video_features_basic_pure.csv",
    )
    assert manifest.splits["train"].rows == 94_784
    assert manifest.splits["train"].positives == 29_123


def test_taobao_ads(run, tmp_path):
    log = write(
        tmp_path / "raw_sample.csv",
        "user,time_stamp,adgroup_id,pid,nonclk,clk",
        [581738, 1494137644, 1, "430548_1007", 1, 0],
        [581738, 1494137644, 1, "430548_1007", 0, 1],
        [914836, 1494691200, 2, "430548_1007", 0, 1],
    )
    users = write(
        tmp_path / "user_profile.csv",
        "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,"
        "shopping_level,occupation,new_user_class_level ",
        [581738, 0, 5, 2, 5, "", 3, 0, "3.0"],
    )
    ads = write(
        tmp_path / "ad_feature.csv",
        "adgroup_id,cate_id,campaign_id,customer,brand,price",
        [1, 9025, 108570, 1, "NULL", "108.0"],
        [2, 6261, 9, 2, 95471, "27.9"],
    )
    folder, manifest = run(
        EXAMPLES / "taobao_ads" / "spec.yaml", [log], user_table=users, item_table=ads
    )
    assert {n: s.rows for n, s in manifest.splits.items()} == {"train": 2, "test": 1}
    assert manifest.counters["rows_without_user"] == 1
    assert {e["brand"] for e in examples(folder, "train")} == {0}
    encoding = FeatureEncoding.load(folder)
    assert encoding.vocabularies["new_user_class_level"] == ("3",)


def test_movielens_1m(run, tmp_path):
    ratings = [
        f"{u}::{m}::{1 + (u + m) % 5}::978300760" for u in (1, 2) for m in (1, 2)
    ]
    (tmp_path / "ratings.dat").write_text("\n".join(ratings) + "\n")
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    movies = "1::Misérables, Les (1995)::Drama|Musical\n2::Toy: Story::Animation\n"
    (tmp_path / "movies.dat").write_bytes(movies.encode("latin-1"))
    folder, manifest = run(
        EXAMPLES / "movielens_1m" / "spec.yaml",
        [str(tmp_path / "ratings.dat")],
        user_table=tmp_path / "users.dat",
        item_table=tmp_path / "movies.dat",
    )
    rows = [e for name in manifest.splits for e in examples(folder, name)]
    assert {(e["__user__"], e["__item__"]): e["__label__"] for e in rows} == {
        (1, 1): 0.0,
        (1, 2): 1.0,
        (2, 1): 1.0,
        (2, 2): 1.0,
    }
    assert manifest.counters["rows_bad"] == 0


def test_generic(run, tmp_path):
    log = write(
        tmp_path / "log.csv",
        "user_id,item_id,click,timestamp,country,age,category,tags,price,device,query",
        *[
            [f"u{i % 50}", f"i{i % 9}", i % 2, i, "NL", i % 60, "a", "x|y", i, "pc", i]
            for i in range(500)
        ],
    )
    folder, manifest = run(EXAMPLES / "generic" / "spec.yaml", [log])
    assert sum(s.rows for s in manifest.splits.values()) == 500
    assert len(FeatureEncoding.load(folder).boundaries["age"]) == 9
