"""docs/add-an-inversion.md, followed word by word in a copy of the package."""

import re

import pages

from gauntlet.inversion.labels import LABELS, SOFT
from gauntlet.inversion.layer_weights import FORMULAS, INVERSE_VARIANCE
from gauntlet.inversion.priors import PRIORS
from gauntlet.inversion.starts import STARTS

PAGE = "docs/add-an-inversion.md"


def test_the_page_adds_a_method_that_works(tmp_path):
    root = pages.copy(tmp_path / "copy")
    written = [path for path, _ in pages.blocks(PAGE)]
    assert written == ["src/gauntlet/inversion/methods/smooth_l2.py", "try_smooth_l2.py"]
    before, after = map(float, re.findall(r"PSNR (\d+\.\d)", pages.follow(PAGE, root)[0]))
    assert after > before + 10


def test_the_page_lists_every_part():
    text = (pages.ROOT / PAGE).read_text()
    for name in (*LABELS, SOFT, *FORMULAS, INVERSE_VARIANCE, *PRIORS, *STARTS):
        assert f"`{name}`" in text, name
