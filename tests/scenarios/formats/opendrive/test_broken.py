"""Broken input: one sentence with file and road, exit code 2, nothing else."""

from pathlib import Path

import pytest

from protocols.errors import RoadError
from scenarios.formats.opendrive import check, read
from tests.support import xodr
from tests.support.xodr import document, geometry, lane, line, road, section

ARC = '<arc curvature="{}"/>'

CASES: dict[str, tuple[str, str]] = {
    "empty": ("", "not well-formed"),
    "cut off": (document(road())[:-40], "not well-formed"),
    "not xml": ("road: 1", "not well-formed"),
    "other root": ("<osm/>", "expected <OpenDRIVE>"),
    "no header": ("<OpenDRIVE/>", "no <header>"),
    "no road": (document(), "no <road>"),
    "version 2": (document(road(), version="2.0"), "versions 1.1 to 1.8"),
    "bad version": (document(road(), version="x.y"), "header"),
    "no planView": (document(road("17").replace("planView", "plainView")), "road '17'.*planView"),
    "no lanes": (document(road("17").replace("laneSection", "loneSection")), "road '17'.*laneSection"),
    "no id": (document(road().replace(' id="1"', "", 1)), "road '\\?'.*'id'"),
    "text as number": (document(road("17", plan=line("ten"))), "road '17'.*'ten'"),  # type: ignore[arg-type]
    "not a number": (document(road("17", plan=line(float("nan")))), "road '17'.*nan"),
    "infinite": (document(road("17", plan=line(10.0, x=float("inf")))), "road '17'.*inf"),
    "other planet": (document(road("17", plan=line(10.0, x=1e12))), "road '17'.*1.e\\+12"),
    "negative length": (document(road("17", length=-5.0)), "road '17'.*length"),
    "endless": (document(road("17", length=1e7)), "road '17'.*length"),
    "whirl": (document(road("17", plan=geometry(ARC.format(1e6), 100.0))), "road '17'.*turns"),
    "nan width": (document(road("17").replace('a="3"', 'a="nan"')), "road '17'.*lane width"),
    "huge lane id": (document(road("17", sections=section("", lane(-99999)))), "road '17'.*-99999"),
    "lane twice": (document(road("17", sections=section("", lane(-1) + lane(-1)))), "road '17'.*twice"),
    "road twice": (document(road("17"), road("17")), "two roads have the id '17'"),
    "sections backwards": (
        document(road("17", sections=section(lane(1), s=50.0) + section(lane(1), s=0.0))),
        "road '17'.*rising",
    ),
    "too much to sample": (
        document(road("17", 1e6, line(1e6), section("", "".join(lane(-i) for i in range(1, 200))))),
        "at most 5000000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_broken_files_are_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    text, sentence = CASES[name]
    path = tmp_path / "broken.xodr"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RoadError, match=sentence) as caught:
        read(path)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    (finding,) = check(path)
    assert (finding.severity, finding.rule) == ("error", "unreadable")


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.xodr", tmp_path):
        with pytest.raises(RoadError, match="cannot be read") as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_entities_are_not_expanded_and_no_file_is_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("do not read", encoding="utf-8")
    text = document(road(), header="<geoReference>&leak;</geoReference>").replace(
        '<?xml version="1.0"?>',
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY leak SYSTEM "file://{secret}">]>',
    )
    path = tmp_path / "leak.xodr"
    path.write_text(text, encoding="utf-8")
    assert "do not read" not in read(path).geo_reference


def test_a_bomb_of_entities_is_refused(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    text = document(road(), header="<geoReference>&e11;</geoReference>").replace(
        '<?xml version="1.0"?>', f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "boom">{levels}]>'
    )
    path = tmp_path / "bomb.xodr"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RoadError, match="amplification"):
        read(path)


def test_namespaces_and_comments_do_no_harm(tmp_path: Path) -> None:
    text = document(road()).replace("<OpenDRIVE>", '<OpenDRIVE xmlns="http://a.b/c"><!-- note -->')
    path = tmp_path / "plain.xodr"
    path.write_text(text, encoding="utf-8")
    assert read(path).num_lanes == 2


def test_what_is_left_out_is_noted_once_with_its_count(tmp_path: Path) -> None:
    odd = "<surface/><fence/><fence/>"
    net = read(xodr.write(tmp_path, road(after=odd), header='<offset x="5" y="0" z="0" hdg="0"/>'))
    text = " ".join(net.notes)
    assert "<fence> inside <road> is not known and was left out (2 times)." in text
    assert "header <offset>" in text.lower() or "Header <offset>" in text
    assert len(net.notes) == len(set(net.notes))
