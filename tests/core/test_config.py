from typing import Literal

import pytest

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError


class Inner(Strict):
    epochs: int
    kind: Literal["a", "b"] = "a"


class Outer(Strict):
    train: Inner
    grids: list[Inner] = []


def test_good_values_pass():
    assert parse(Outer, {"train": {"epochs": 3}}, file="f.yaml").train.epochs == 3


@pytest.mark.parametrize(
    ("content", "key", "words"),
    [
        ({"train": {"epoch": 3}}, "train.epochs", "Field required"),
        ({"train": {"epochs": 3, "epochz": 1}}, "train.epochz", "did you mean 'epochs'"),
        ({"train": {"epochs": "3"}}, "train.epochs", "valid integer"),
        (
            {"train": {"epochs": 3}, "grids": [{"epochs": 1}, {"epochs": 1, "kimd": "a"}]},
            "grids.1.kimd",
            "'kind'",
        ),
        ({"train": {"epochs": 3, "kind": "c"}}, "train.kind", "got 'c'"),
    ],
)
def test_faults_name_file_key_and_remedy(content, key, words):
    with pytest.raises(GauntletError) as caught:
        parse(Outer, content, file="config/x.yaml")
    message = str(caught.value)
    assert message.startswith(f"config/x.yaml: {key}: ")
    assert words in message
    assert "remedy" in message


def test_yaml_faults(tmp_path):
    path = tmp_path / "x.yaml"
    with pytest.raises(GauntletError, match="no such file"):
        load_yaml(path)
    path.write_text("a: [1,\nb: 2")
    with pytest.raises(GauntletError, match="not valid YAML"):
        load_yaml(path)
    path.write_text("- 1")
    with pytest.raises(GauntletError, match="mapping"):
        load_yaml(path)
