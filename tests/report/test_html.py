import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from synthetic import EAT, build, write_cell

from gauntlet.report import figures
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.claims.words import evidence
from gauntlet.report.gather import gather
from gauntlet.report.html import Source
from gauntlet.report.html import build as build_html
from gauntlet.report.measurements import read
from gauntlet.report.study import load

STUDY = load(EAT)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects text, links and ids, and checks that tags close."""

    def __init__(self, text: str):
        super().__init__()
        self.text, self.links, self.ids, self.images, self._open = "", [], set(), [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self._open.append(tag)
        self.ids.add(attributes.get("id"))
        for name in ("href", "src", "srcset", "action"):
            if name in attributes:
                self.links.append(attributes[name])
        if tag == "img":
            self.images.append(attributes)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.text += data


HOLE = {
    "dataset": "digits",
    "architecture": "conv",
    "method": "at_x3",
    "block": "0-4",
    "log": "results/logs/at_x3-digits.log",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with a hole, a flagged cell, a drawn figure and a published reference."""
    root = tmp_path_factory.mktemp("report")
    folder = build(root, methods=("none", "at", "mixup", "eat"), flagged=("eat",), missing=[HOLE])
    published = build(root / "published", scale="desk")
    figures.draw(EAT, "comparison", folder, root / "paper_figures/eat/comparison")
    planned = [
        {"step": "train", "jobs": 4, "planned": (30.0, 60.0, 90.0), "spent": 45.0, "unplanned": 0},
        {"step": "attack", "jobs": 0, "planned": (0.0, 0.0, 0.0), "spent": 0.0, "unplanned": 4},
    ]
    source = Source(EAT, folder, root / "paper_figures/eat", published, planned)
    return build_html([source], root / "paper_figures/index.html")


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text(encoding="utf-8"))


def test_what_was_planned_stands_against_what_was_spent(page):
    text = " ".join(page.text.split())
    assert "Training: planned 60 s (30 to 90), spent 45 s in 4 jobs." in text
    assert "Attacks: 4 jobs not planned, for want of measurements elsewhere." in text


def test_no_external_reference(report, page):
    for link in page.links:
        assert link.startswith(("#", "data:image/png;base64,")) or not re.match(r"[a-z]+:|//", link), link
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(|<script[^>]+src|<link", text)
    assert [link for link in page.links if link.startswith("data:")]


def test_links_lead_somewhere(report, page):
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        elif not link.startswith("data:"):
            assert (report.parent / link).is_file()


def test_every_claim_with_verdict_statement_and_scale(page):
    for key, claim in STUDY.claims.items():
        assert key in page.ids
        assert claim.statement in page.text
    for verdict in ("holds", "undecided", "not measured"):
        assert verdict in page.text
    assert "mini scale: not the paper's numbers" in page.text
    assert "published, desk: " in page.text


def test_evidence_stands_beside_verdicts(report, page):
    claims = judge_study(EAT, report.parents[1] / "studies/eat/mini")["claims"]
    text = " ".join(page.text.split())
    for claim in claims.values():
        assert evidence(claim) in text
        for detail in claim["details"]:
            if detail["bootstrap"]:
                low, high = detail["bootstrap"]
                assert f"[{low:+.3f}, {high:+.3f}]" in text
    assert "With 5 seeds the signed-rank and sign-flip tests cannot go below p = 0.0312" in text


def test_holes_flags_choices_cost_and_provenance_are_shown(page):
    assert "results/logs/at_x3-digits.log" in page.text
    assert "flagged" in page.text
    assert "an unbounded attack succeeds" in page.text
    for choice in STUDY.reconstructed:
        assert choice.what in page.text
    for line in STUDY.threat_model:
        assert line in page.text
    assert "0" * 40 in page.text
    assert "torch 2.11.0" in page.text
    assert "SHA-256" in page.text
    assert "100.0" in page.text  # 4 methods x 2 datasets x 12.5 s
    assert "secret-host" not in page.text


def test_a_flag_stands_beside_the_checks_and_the_claims_that_it_bars(report):
    text = report.read_text(encoding="utf-8")
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", text) if row.count("24/25") and "digits" not in row][
        :1
    ]
    assert '<td class="number flagged"><span class="flag">24/25</span><small>unbounded</small>' in row
    assert '<small>bars <a href="#EAT-2">EAT-2</a></small>' in row
    assert "25/25" in text


def test_budgets_of_attacks_stand_above_their_numbers(page):
    assert "L∞ ε 0.1, 20 steps, 3 restarts: shift; centre; joint pair." in page.text
    assert "Worst attack: of those with L∞ ε 0.1." in page.text


def test_tables_of_published_runs_at_other_scales_are_shown(page):
    assert "Published run (desk)" in page.text
    # Each table, and the sanity of that run's attacks.
    assert page.text.count("Desk scale: not the paper's numbers.") == len(STUDY.tables) + 1


def test_figures_are_embedded_or_named_as_not_drawn(page):
    assert len(page.images) == 1
    assert page.images[0]["alt"].startswith("Clean score")
    assert (
        page.text.count("This figure has not been drawn: gauntlet study figure eat") == len(STUDY.figures) - 1
    )
    assert "over 5 seeds" in page.text
    assert "Not shown, for want of measurements: TRADES" in page.text


def test_markup_in_a_hole_is_escaped(tmp_path):
    hole = HOLE | {"log": "<script>alert(1)</script>"}
    folder = build(tmp_path, methods=("none",), datasets=("digits",), seeds=1, missing=[hole])
    text = build_html([Source(EAT, folder, tmp_path)], tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_a_family_without_attacks_shows_its_one_step_and_no_sanity(tmp_path):
    cell = write_cell(tmp_path / "jobs", "digits", "none", range(2), setting="iid")
    del cell["steps"]["attack"]
    cell["tables"] = {"training": cell["tables"]["training"]}
    folder = gather([cell], tmp_path / "out", "eat", "mini", tables=["scores", "training"])
    out = build_html([Source(EAT, folder, tmp_path)], tmp_path / "index.html")
    text = Page(out.read_text(encoding="utf-8")).text
    assert "training, s" in text
    assert "attacks, s" not in text
    assert "Sanity of the attacks" not in text
    assert "Measured here on digits, iid, conv net." in text
    assert "1 jobs" in text


def test_the_jobs_behind_a_number_are_those_of_its_row(report):
    """Every number of a table leads to a row of the same method, dataset and network."""
    text = report.read_text(encoding="utf-8")
    rows = re.findall(r'<tr id="([^"]+)"><td>(.*?)<small>job \d+, (.*?)</small></td>', text)
    rows = {row: (label, where) for row, label, where in rows}
    found = 0
    for table in re.findall(r'<table class="scores sortable">.*?</table>', text, re.S):
        for body in re.findall(r"<tbody>(.*?)</tbody>", table, re.S):
            where = re.search(r"<span>(.*?)(?:<small>.*)?</span>", body)[1]
            for label, line in re.findall(r'<th scope="row">(.*?)</th>(.*)</tr>', body):
                for row in re.findall(r'<td class="number"><a href="#([^"]+)">', line):
                    assert rows[row] == (label.removesuffix(", mean member"), where)
                    found += 1
    assert found > 300


def test_a_job_says_how_its_runs_are_found_in_the_tracker(page):
    assert "tags.`gauntlet.trial` = 'eat/digits/conv/at/1/0'" in page.text
    assert "at digits/conv seed 0 to 4" in page.text


def test_settings_of_jobs_are_shown_once_and_reached_from_their_folder(tmp_path):
    folder = build(tmp_path, methods=("none", "at"), datasets=("digits",), seeds=2)
    jobs = [cell["train"]["folder"] for cell in read(folder).manifest["cells"]]
    settings = {job: {"train": {"lr": 0.125}} for job in jobs}
    out = build_html([Source(EAT, folder, tmp_path, settings=settings)], tmp_path / "index.html")
    text = out.read_text(encoding="utf-8")
    assert text.count("lr: 0.125") == 1
    (target,) = set(re.findall(r'\(<a href="#([^"]+)">settings</a>\)', text))
    assert f'<details class="settings" id="{target}">' in text


#: Asks each page of the report, in frames of a desktop's and a phone's width, what it is like.
PROBE = """
<iframe id=f></iframe><pre id=o></pre><script>
const frame = document.getElementById("f"), found = [];
const next = () => new Promise((done) => setTimeout(done, 50));
const seen = (element) => element.getClientRects().length > 0;
async function ask(width) {
  frame.style = `width:${width}px;height:2000px;border:0`;
  for (const page of PAGES) {
    frame.src = `REPORT#${page}`;
    await next();
    if (frame.contentDocument.readyState !== "complete") await new Promise((done) => frame.onload = done);
    const root = frame.contentDocument.documentElement;
    const open = [...root.querySelectorAll(".page")].filter(seen).map((each) => each.id);
    const images = [...root.querySelectorAll("img")].filter(seen);
    const broken = images.filter((each) => !each.naturalWidth).length;
    found.push({ width, page, open, broken, scroll: root.scrollWidth, client: root.clientWidth });
  }
}
async function use() {
  frame.src = "REPORT#overview";
  await next();
  const table = frame.contentDocument.querySelector("table.claims");
  const names = () => [...table.tBodies[0].rows].filter(seen).map((row) => row.cells[0].textContent.trim());
  const effects = () => [...table.tBodies[0].rows].map((row) => row.cells[4].dataset.sort ?? "");
  const first = names(), button = table.tHead.rows[0].cells[4].querySelector("button");
  button.click();
  const up = effects();
  button.click();
  const down = effects(), filter = table.closest(".wide").previousElementSibling;
  filter.value = "eat-2";
  filter.dispatchEvent(new Event("input"));
  found.push({ first, up, down, kept: names() });
}
(async () => {
  await ask(1200);
  await use();
  await ask(390);
  console.error("the end");
  document.getElementById("o").textContent = JSON.stringify(found);
})();
</script>
"""


@pytest.fixture(scope="module")
def opened(report, tmp_path_factory):
    """What Chromium says of every page, and its console."""
    folder = tmp_path_factory.mktemp("chromium")
    pages = ["", "overview", "eat", "data", "environment", "cost", "compare", "EAT-2", "eat-mini-0"]
    probe = folder / "probe.html"
    probe.write_text(
        PROBE.replace("PAGES", json.dumps(pages)).replace("REPORT", report.as_uri()), encoding="utf-8"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--hide-scrollbars", "--allow-file-access-from-files", "--enable-logging=stderr"]
    command = [shutil.which("chromium"), *options, f"--user-data-dir={folder}/profile"]
    done = subprocess.run(
        [*command, "--virtual-time-budget=20000", "--dump-dom", probe.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    answer = re.search(r"<pre id=\"o\">(.+?)</pre>", done.stdout, re.S)
    assert answer, done.stderr[-500:]
    console = re.findall(r"CONSOLE.*", done.stderr)
    return json.loads(html.unescape(answer[1])), console


@pytest.mark.needs("chromium")
def test_every_address_opens_its_page_alone_and_none_is_wider_than_the_screen(opened):
    found, console = opened
    pages = [each for each in found if "page" in each]
    assert {each["width"] for each in pages} == {390, 1200}
    inside = {"": "overview", "EAT-2": "eat", "eat-mini-0": "eat"}
    for each in pages:
        assert each["open"] == [inside.get(each["page"], each["page"])], each
        assert each["broken"] == 0
        assert each["scroll"] <= each["client"] == each["width"], each  # tables scroll inside theirs
    assert len(console) == 1, console  # what the probe itself says at the end
    assert "the end" in console[0]


@pytest.mark.needs("chromium")
def test_tables_sort_and_filter(opened):
    (used,) = (each for each in opened[0] if "up" in each)
    assert used["first"] == list(STUDY.claims)
    measured = [float(value) for value in used["up"] if value]
    assert measured == sorted(measured)
    assert len(measured) > 2
    assert used["up"][len(measured) :] == [""] * (len(used["up"]) - len(measured))  # not measured: last
    assert [float(value) for value in used["down"] if value] == measured[::-1]
    assert used["kept"] == ["EAT-2"]
