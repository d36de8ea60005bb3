import errno
import os

import pytest

from gauntlet.core import files
from gauntlet.core.errors import GauntletError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "result.json"
    files.write_text(target, "old")

    def half():
        with files.atomic(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        half()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_folder_replaces_the_old_folder(tmp_path):
    for content in ("a", "b"):
        with files.atomic(tmp_path / "set") as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert os.listdir(tmp_path / "set") == ["b"]
    assert os.listdir(tmp_path) == ["set"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "cannot write"), (errno.EACCES, "cannot write")],
)
def test_disk_faults_name_the_file_and_the_remedy(tmp_path, code, words):
    target = tmp_path / "weights"
    with pytest.raises(GauntletError, match=words) as caught, files.atomic(target):
        raise OSError(code, os.strerror(code))
    assert caught.value.file == target
    assert caught.value.remedy
    assert os.listdir(tmp_path) == []


def test_canonical_json_has_one_spelling():
    assert files.canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert files.digest_json({"x": 1, "y": 2}) == files.digest_json({"y": 2, "x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.digest_json(float("nan"))


def test_same_rows_same_parquet_bytes(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"seed": [0, 1], "metric": ["nmi", "f1"], "value": [0.25, 0.5]})
    for name in ("a", "b"):
        files.write_parquet(tmp_path / name, table.copy())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "a"), table, check_dtype=False)


def test_rows_are_a_table_of_the_declared_types(tmp_path):
    columns = {"seed": "int64", "metric": "str", "value": "float64", "passed": "bool"}
    rows = [{"seed": 0, "metric": "nmi", "value": 1, "passed": True, "note": "left out"}]
    files.write_rows(tmp_path / "one", rows, columns)
    found = files.read_parquet(tmp_path / "one")
    assert list(found.columns) == list(columns)
    assert found.dtypes.astype(str).tolist()[::2] == ["int64", "float64"]
    assert found.iloc[0].tolist() == [0, "nmi", 1.0, True]
    files.write_rows(tmp_path / "none", [], columns)
    assert files.read_parquet(tmp_path / "none").empty
    with pytest.raises(KeyError):
        files.write_rows(tmp_path / "bad", [{"seed": 0}], columns)
    assert not (tmp_path / "bad").exists()


def test_damaged_inputs_are_named(tmp_path):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 not really")
    with pytest.raises(GauntletError, match=r"bad\.parquet.*damaged"):
        files.read_parquet(bad)
    bad.write_text("{")
    with pytest.raises(GauntletError, match="not valid JSON"):
        files.read_json(bad)
    with pytest.raises(GauntletError, match="no such file"):
        files.read_json(tmp_path / "absent")


def test_a_sealed_file_is_what_was_written_until_it_is_edited(tmp_path):
    path = tmp_path / "manifest.json"
    value = {"cost": {10: 1.5, 9: [0.1, None]}, "name": "é"}
    files.write_sealed(path, value)
    assert files.read_sealed(path) == {"cost": {"10": 1.5, "9": [0.1, None]}, "name": "é"}
    path.write_text(path.read_text().replace("1.5", "1.4"))
    with pytest.raises(GauntletError, match=r"manifest\.json.*edited"):
        files.read_sealed(path)


def test_a_file_of_before_there_were_seals_is_read(tmp_path):
    files.write_json(tmp_path / "old.json", {"a": 1})
    assert files.read_sealed(tmp_path / "old.json") == {"a": 1}
