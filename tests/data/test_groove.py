"""Groove MIDI, and sets of files in general, from a miniature of the published archive."""

import json
import struct

import pytest
from handmade import facts, toy_entry, zipped

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, prepared_bundle, registry
from gauntlet.data.packed import Listed
from gauntlet.data.prepared_bundle import Bundle

ARCHIVE = "groove-v1.0.0-midionly.zip"
HEADER = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split\n"
#: session, number, style, bpm, kind, split; in the order of the table
PLAYED = [
    ("drummer1/eval_session", 1, "funk/groove1", 138, "beat", "test"),
    ("drummer1/session1", 9, "jazz", 120, "fill", "train"),
    ("drummer2/session3", 2, "rock", 90, "beat", "validation"),
    ("drummer1/session1", 10, "rock", 95, "beat", "train"),
    ("drummer2/session3", 3, "latin/samba", 110, "beat", "train"),
    ("drummer2/session3", 4, "rock", 90, "fill", "test"),
    ("drummer2/session3", 5, "rock", 90, "fill", "validation"),
]
COUNTS = {"train": [2, 1], "test": [1, 1], "validation": [1, 1]}


def path(session, number, style, bpm, kind):
    return f"{session}/{number}_{style.replace('/', '-')}_{bpm}_{kind}_4-4.mid"


def midi(number):
    """A Standard MIDI File of type 0: one snare hit on the drum channel after ``number`` ticks."""
    track = bytes([number, 0x99, 38, 100, 0, 0xFF, 0x2F, 0])
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track


def members():
    lines, files = [HEADER], {}
    for session, number, style, bpm, kind, split in PLAYED:
        name = path(session, number, style, bpm, kind)
        audio = name.replace(".mid", ".wav")
        fields = (session.split("/")[0], session, f"{session}/{number}", style, bpm, kind, "4-4", name, audio)
        lines.append(",".join(map(str, (*fields, 27.872308, split))) + "\n")
        files[f"groove/{name}"] = midi(number)
    shuffled = dict(sorted(files.items(), reverse=True))
    return {
        "groove/README": b"See https://g.co/magenta/groove-dataset",
        **shuffled,
        "groove/info.csv": "".join(lines).encode(),
        "groove/Icon\r": b"",
    }


def entry(content, *sources, **changes):
    fields = {
        "classes": ["beat", "fill"],
        "counts": COUNTS,
        "reader": "groove",
        "files": {"archive": {"name": ARCHIVE, **facts(content)}},
    }
    return toy_entry("files", *sources, **(fields | changes))


def obtain(server, folder, files, **changes):
    content = zipped(*files.items())
    described = entry(content, server.source(**{ARCHIVE: content}), **changes)
    return described, fetch.obtain(described, folder)


def test_the_published_archive(server, tmp_path, monkeypatch):
    described, folder = obtain(server, tmp_path / "toy", members())
    pins = prepared.hashes(folder, described.prepared_files)
    assert set(pins) == {file.name for file in folder.iterdir()}
    pinned = described.model_copy(update={"prepared": pins})
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    found = data.load("toy", folder)
    assert (found.form, found.class_names) == ("files", ("beat", "fill"))
    for name in ("train", "test", "validation"):
        split, played = getattr(found, name), [row for row in PLAYED if row[-1] == name]
        assert split.names == [path(*row[:-1]) for row in played]
        assert [found.class_names[label] for label in split.labels] == [row[4] for row in played]
        assert [split.encoded(row) for row in range(len(split))] == [midi(row[1]) for row in played]
        info = split.tables["info"]
        assert [row["midi_filename"] for row in info] == split.names
        assert [(row["style"], row["bpm"], row["duration"]) for row in info] == [
            (row[2], str(row[3]), "27.872308") for row in played
        ]
        assert split.rows[split.names[-1]] == len(split) - 1
    (folder / "test_tables.json").write_text("{}")
    with pytest.raises(GauntletError, match="damaged"):
        data.load("toy", folder)


def test_the_same_bytes_whatever_the_order_in_the_archive(server, tmp_path):
    one, first = obtain(server, tmp_path / "one", members())
    _, second = obtain(server, tmp_path / "two", dict(reversed(members().items())))
    assert prepared.hashes(first, one.prepared_files) == prepared.hashes(second, one.prepared_files)


TABLE = members()["groove/info.csv"]
SNARE = f"groove/{path(*PLAYED[1][:-1])}"
DAMAGE = {
    "no table": ({"groove/info.csv": None}, "it has no groove/info.csv"),
    "a file missing": ({SNARE: None}, r"it has no drummer1/session1/9_jazz_120_fill_4-4\.mid"),
    "an unknown split": (
        {"groove/info.csv": TABLE.replace(b",train", b",dev")},
        "the split 'dev' is unknown",
    ),
    "an unknown kind": ({"groove/info.csv": TABLE.replace(b",fill,", b",roll,")}, "'roll' is unknown"),
    "no column": (
        {"groove/info.csv": TABLE.replace(b"beat_type", b"type")},
        "does not name a column beat_type",
    ),
    "another split": (
        {"groove/info.csv": TABLE.replace(b",validation", b",train")},
        r"train files per class are \[3, 2\], not \[2, 1\]",
    ),
    "a file twice": (
        {"groove/info.csv": TABLE.replace(b"9_jazz_120_fill_4-4.mid", b"10_rock_95_beat_4-4.mid")},
        "is listed 2 times",
    ),
    "a way out": ({"../evil.mid": b"x"}, "its name leads out"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(server, tmp_path, damage):
    changes, reason = DAMAGE[damage]
    files = {name: body for name, body in (changes | members() | changes).items() if body is not None}
    with pytest.raises(GauntletError, match=reason):
        obtain(server, tmp_path / "toy", files)
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


def test_an_index_that_is_not_the_registrys_is_refused(tmp_path):
    described = entry(b"x", counts={"train": 1, "test": 1})
    row = [Listed(tmp_path / "a.zip", f"{label}", label) for label in (0, 1)]
    more = [Listed(tmp_path / "a.zip", f"{label} more", label) for label in (0, 1)]
    tables = {"train": {}, "test": {}}
    prepared_bundle.check(Bundle({"train": row, "test": more}, tables), described)
    strange = [*row[:1], Listed(tmp_path / "a.zip", "strange", 2)]
    for splits, reason in (
        ({"train": row}, "the splits are of train, not train, test"),
        ({"train": strange, "test": more}, "train labels are outside 0 to 1"),
        ({"train": row[:1], "test": more}, r"train files per class are \[1, 0\], not \[1, 1\]"),
        ({"train": row, "test": row}, "0 is listed 2 times"),
    ):
        with pytest.raises(GauntletError, match=reason):
            prepared_bundle.check(Bundle(splits, tables), described)


def test_tables_are_json_that_any_program_reads(server, tmp_path):
    _, folder = obtain(server, tmp_path / "toy", members())
    table = json.loads((folder / "train_tables.json").read_text(encoding="utf-8"))
    assert [row["id"] for row in table["info"]] == [
        "drummer1/session1/9",
        "drummer1/session1/10",
        "drummer2/session3/3",
    ]
