"""nuScenes from miniatures in its layout: the tables, key frames and sweeps of three scenes."""

import json

import pytest
import yaml
from handmade import facts, tar, toy_entry

from gauntlet.core.config import load_yaml
from gauntlet.core.errors import GauntletError
from gauntlet.data import bundle, fetch, registry
from gauntlet.data.readers import nuscenes

VERSION = "v1.0-mini"
SENSORS = ("RADAR_FRONT", "LIDAR_TOP", "CAM_BACK", "CAM_FRONT")
CHANNELS = ["CAM_FRONT", "CAM_BACK", "LIDAR_TOP"]
#: scene -> how many key frames it has; the second one is not listed
SCENES = {"scene-0103": 1, "scene-0002": 2, "scene-0061": 3}
SPLIT = {"train": ["scene-0061"], "test": ["scene-0103"]}


def table(rows):
    """As published: a key per line, without indentation."""
    return json.dumps(rows, indent=0).encode()


def world():
    """The tables and the files of the key frames (``samples``) and between them (``sweeps``)."""
    tables = {name: [] for name in (*nuscenes.TABLES, "log", "map")}
    files = {}
    tables["category"] = [
        {"token": f"c{n}", "name": name} for n, name in enumerate(("vehicle.car", "animal"))
    ]
    tables["attribute"] = [{"token": "a0", "name": "vehicle.moving", "description": ""}]
    tables["visibility"] = [{"token": "4", "level": "v80-100", "description": ""}]
    tables["log"] = [{"token": "l0", "logfile": "n015", "location": "singapore-onenorth"}]
    tables["map"] = [{"token": "m0", "log_tokens": ["l0"], "filename": "maps/m0.png"}]
    for channel in SENSORS:
        modality = channel.split("_")[0].replace("CAM", "camera").lower()
        tables["sensor"].append({"token": f"s-{channel}", "channel": channel, "modality": modality})
    for scene, frames in SCENES.items():
        tables["scene"].append(
            {"token": f"t-{scene}", "name": scene, "log_token": "l0", "nbr_samples": frames}
        )
        tables["instance"].append({"token": f"i-{scene}", "category_token": "c0", "nbr_annotations": frames})
        for channel in SENSORS:
            intrinsic = (
                [[1266.4, 0.0, 816.2], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]] if "CAM" in channel else []
            )
            tables["calibrated_sensor"].append(
                {
                    "token": f"k-{scene}-{channel}",
                    "sensor_token": f"s-{channel}",
                    "translation": [1.7, 0.0, 1.5],
                    "rotation": [0.5, -0.5, 0.5, -0.5],
                    "camera_intrinsic": intrinsic,
                }
            )
        for frame in range(frames):
            sample = f"{scene}-{frame}"
            tables["sample"].append({"token": sample, "timestamp": frame, "scene_token": f"t-{scene}"})
            tables["sample_annotation"].append(
                {
                    "token": f"b-{sample}",
                    "sample_token": sample,
                    "instance_token": f"i-{scene}",
                    "size": [2, 4, 1.5],
                }
            )
            for channel in SENSORS:
                suffix = "jpg" if "CAM" in channel else "pcd.bin" if "LIDAR" in channel else "pcd"
                for kind, key in (("samples", True), ("sweeps", False)):
                    name = f"{kind}/{channel}/n015-2018-07-24__{channel}__{sample}.{suffix}"
                    files[name] = name.encode()
                    tables["ego_pose"].append({"token": f"e-{name}", "translation": [411.3, 1180.9, 0.0]})
                    tables["sample_data"].append(
                        {
                            "token": f"d-{name}",
                            "sample_token": sample,
                            "ego_pose_token": f"e-{name}",
                            "calibrated_sensor_token": f"k-{scene}-{channel}",
                            "filename": name,
                            "is_key_frame": key,
                        }
                    )
    return tables, files


def packed(tables, version=VERSION):
    return {f"{version}/{name}.json": table(rows) for name, rows in tables.items()}


@pytest.fixture
def listings(tmp_path, monkeypatch):
    (tmp_path / "listings").mkdir()
    text = yaml.safe_dump({"version": VERSION, "scenes": SPLIT})
    (tmp_path / "listings" / "toy.yaml").write_text(text)
    monkeypatch.setattr(nuscenes, "LISTINGS", tmp_path / "listings")
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    return tmp_path / "listings" / "toy.yaml"


def entry(archives, **changes):
    fields = {
        "terms": "account",
        "classes": CHANNELS,
        "counts": {"train": 3, "test": 1},
        "listing": "toy.yaml",
        "reader": "nuscenes",
        "files": {
            f"file{n}": {"name": name, **facts(body)} for n, (name, body) in enumerate(archives.items())
        },
    }
    return toy_entry("files", **(fields | changes))


def obtain(tmp_path, archives, **changes):
    for name, body in archives.items():
        (tmp_path / "store" / name).write_bytes(body)
    return fetch.obtain(entry(archives, **changes), tmp_path / "toy")


def tgz(files):
    return tar(*files.items(), mode="w:gz")


def expected(scene):
    """Path of each key frame, by sample and by channel."""
    suffix = {"CAM_FRONT": "jpg", "CAM_BACK": "jpg", "LIDAR_TOP": "pcd.bin"}
    return [
        f"samples/{channel}/n015-2018-07-24__{channel}__{scene}-{frame}.{suffix[channel]}"
        for frame in range(SCENES[scene])
        for channel in CHANNELS
    ]


def test_the_mini_archive(listings, tmp_path):
    tables, files = world()
    folder = obtain(tmp_path, {"v1.0-mini.tgz": tgz({"LICENSE": b"x", **files, **packed(tables)})})
    found = bundle.open_set("toy", folder)
    for split, scene in ((found.train, "scene-0061"), (found.test, "scene-0103")):
        names = expected(scene)
        assert split.names == names
        assert [split.encoded(row).decode() for row in range(len(split))] == names
        assert [found.class_names[label] for label in split.labels] == CHANNELS * SCENES[scene]
        # every row that a frame refers to, and none of another scene, of a sweep or of the radar
        assert set(split.tables) == set(nuscenes.TABLES)
        rows = {kind: {row["token"]: row for row in of_kind} for kind, of_kind in split.tables.items()}
        assert {row["filename"] for row in split.tables["sample_data"]} == set(names)
        for row in split.tables["sample_data"]:
            assert rows["scene"][rows["sample"][row["sample_token"]]["scene_token"]]["name"] == scene
            assert row["ego_pose_token"] in rows["ego_pose"]
            calibration = rows["calibrated_sensor"][row["calibrated_sensor_token"]]
            assert rows["sensor"][calibration["sensor_token"]]["channel"] in row["filename"]
            assert calibration in tables["calibrated_sensor"]
        assert {kind: len(of_kind) for kind, of_kind in rows.items()} == {
            "scene": 1,
            "sample": SCENES[scene],
            "sample_data": len(names),
            "ego_pose": len(names),
            "calibrated_sensor": len(CHANNELS),
            "sensor": len(CHANNELS),
            "sample_annotation": SCENES[scene],
            "instance": 1,
            "category": 2,
            "attribute": 1,
            "visibility": 1,
        }


def test_tables_and_frames_in_several_archives_prepare_to_the_same_bytes(listings, tmp_path):
    tables, files = world()
    whole = obtain(tmp_path, {"v1.0-mini.tgz": tgz({**files, **packed(tables)})})
    one = {path.name: path.read_bytes() for path in whole.iterdir()}
    names = sorted(files, reverse=True)
    archives = {
        "v1.0-trainval01_blobs.tgz": tgz({name: files[name] for name in names[::2]}),
        "v1.0-trainval_meta.tgz": tgz({"maps/m0.png": b"x", **packed(tables)}),
        "v1.0-trainval02_blobs.tgz": tgz({f"./{name}": files[name] for name in names[1::2]}),
    }
    (tmp_path / "toy").rename(tmp_path / "whole")
    several = obtain(tmp_path, archives)
    assert {path.name: path.read_bytes() for path in several.iterdir()} == one


def without(name, key):
    def apply(tables, files):
        tables[name] = [
            {column: value for column, value in row.items() if column != key} for row in tables[name]
        ]

    return apply


def drop(tables, files):
    del files[expected("scene-0061")[4]]


def rename(tables, files):
    tables["scene"][-1]["name"] = "scene-0062"


def infinite(tables, files):
    tables["ego_pose"][-1]["translation"] = [float("nan"), 0.0, 0.0]
    tables["sample_data"][-2]["ego_pose_token"] = tables["ego_pose"][-1]["token"]


DAMAGE = {
    "no number": (infinite, "a table has a value that is no number"),
    "no column": (without("sample_data", "is_key_frame"), r"not as published \('is_key_frame'\)"),
    "no token": (without("sample", "token"), r"not as published \('token'\)"),
    "no frame": (drop, "no archive has samples/CAM_BACK/.*scene-0061-1.jpg"),
    "no scene": (rename, "it has no scene scene-0061"),
    "no table": (lambda tables, files: tables.pop("ego_pose"), "it has no v1.0-mini/ego_pose.json"),
    "no rows": (lambda tables, files: tables.update(sensor={"a": 1}), "sensor.json is not a list"),
    "rows of another kind": (
        lambda tables, files: tables.update(sample=[1, 2]),
        "a row of a table is not as published",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(listings, tmp_path, damage):
    alter, reason = DAMAGE[damage]
    tables, files = world()
    alter(tables, files)
    with pytest.raises(GauntletError, match=reason):
        obtain(tmp_path, {"v1.0-mini.tgz": tgz({**files, **packed(tables)})})
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("cut", [1, 30, 60])
def test_a_table_that_is_cut_is_refused(listings, tmp_path, cut):
    tables, files = world()
    members = {**files, **packed(tables)}
    members[f"{VERSION}/sample.json"] = members[f"{VERSION}/sample.json"][:-cut]
    with pytest.raises(GauntletError, match=r"v1\.0-mini: "):
        obtain(tmp_path, {"v1.0-mini.tgz": tgz(members)})


def test_without_the_archive_the_message_says_where_to_get_it(listings, tmp_path):
    with pytest.raises(GauntletError) as caught:
        fetch.obtain(entry({"v1.0-mini.tgz": b"x"}), tmp_path / "toy")
    assert "register with the publisher" in caught.value.remedy
    assert "v1.0-mini.tgz" in caught.value.remedy


def test_a_listing_for_other_splits_is_refused(listings, tmp_path):
    listings.write_text(yaml.safe_dump({"version": VERSION, "scenes": {"train": ["scene-0061"]}}))
    tables, files = world()
    with pytest.raises(GauntletError, match=r"the splits are not train, test"):
        obtain(tmp_path, {"v1.0-mini.tgz": tgz({**files, **packed(tables)})})


def test_the_official_split():
    full, mini = (
        load_yaml(registry.LISTINGS / f"{name}.yaml")["scenes"] for name in ("nuscenes", "nuscenes-mini")
    )
    assert {split: len(scenes) for split, scenes in full.items()} == {"train": 700, "test": 150}
    assert {split: len(scenes) for split, scenes in mini.items()} == {"train": 8, "test": 2}
    everything = full["train"] + full["test"]
    assert len(set(everything)) == 850
    assert set(mini["train"] + mini["test"]) < set(everything)  # scenes of the whole set, split anew
    frames = {name: registry.entry(name).per_class("train")[0] for name in ("nuscenes", "nuscenes-mini")}
    assert frames == {"nuscenes": 28130, "nuscenes-mini": 323}
