"""docs/privacy.md, followed word by word in a copy of the package."""

import pages

PAGE = "docs/privacy.md"


def test_the_page_adds_an_attack(tmp_path):
    root = pages.copy(tmp_path / "copy")
    assert [path for path, _ in pages.blocks(PAGE)] == ["src/gauntlet/membership/margin.py"]
    assert pages.follow(PAGE, root) == ["[ 3.   0.5 -1.   2. ] 1.0\n"]


def test_the_page_lists_everything():
    from gauntlet.core.registry import names
    from gauntlet.data.attributes import ATTRIBUTES

    text = (pages.ROOT / PAGE).read_text()
    for name in (*names("membership"), *names("attribute_inference"), *ATTRIBUTES):
        assert f"`{name}`" in text, name
