"""Recorded sentences in Chinese: the catalogue has all of them and nothing else, finds them again, and leaves strangers alone."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import numpy as np
import pytest

from protocols.judging import Event, EventKind, RunFacts
from protocols.sentence import say
from scenarios.criteria import Judge, RearSection, kinds
from scenarios.fault_spec import FaultSpec
from scenarios.load import check_scene
from scenarios.verdict import CriterionResult, Verdict
from sim.diff.model import Finding, Kind
from sim.diff.words import sentence
from sim.report import wording
from tests.support.traces import trace

ROOT = Path(__file__).parents[2]
ROOMS = ("protocols", "vehicle", "roadside", "scenarios", "sim")
HAN = re.compile(r"[\u4e00-\u9fff]")
# What may stand in a Chinese sentence in Latin letters besides names that the test puts in.
LATIN = re.compile(
    r"\b(?:bus1|S\d|J1|bus_line|MAP|SPAT|BSM|spat|bsm|rsu|v2x|m|s|ms|nan|inf)\b|m/s[²³]?"
)
SAMPLES = {"d": 7, "f": 3.25, "g": 2.5, "%": 0.125}


def said_in_code() -> dict[str, str]:
    """Template -> where it stands. What is said must be a literal, or a name for one that `phrase` has marked."""
    found: dict[str, str] = {}
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        if "from protocols.sentence import" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("say", "phrase"):  # fmt: skip
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                template = node.args[0]
                if isinstance(template, ast.Constant):
                    found[str(template.value)] = place
                else:
                    assert node.func.id == "say", f"{place}: phrase() marks a literal"
                    assert isinstance(template, ast.Name | ast.Subscript), f"{place}: not a literal"
    return found


def parameters(template: str) -> dict[str, tuple[str, str]]:
    """Name -> (format, conversion)."""
    parts = Formatter().parse(template)
    return {name: (spec or "", kind or "") for _, name, spec, kind in parts if name is not None}


CODE = said_in_code()
SENTENCES = wording.catalogue().sentences
WITH_PARAMETERS = [template for template in SENTENCES if parameters(template)]


def test_every_template_has_its_chinese() -> None:
    assert len(CODE) > 150
    missing = {template: place for template, place in CODE.items() if template not in SENTENCES}
    assert not missing, "add these to sim/report/zh.toml"


def test_every_kind_of_criterion_and_fault_has_its_chinese() -> None:
    assert not [kind for kind in kinds() if kind not in SENTENCES]
    assert not [kind for kind in fault_kinds() if kind not in SENTENCES]


def test_every_entry_still_has_its_template() -> None:
    known = set(CODE) | set(kinds()) | set(fault_kinds())
    gone = [template for template in SENTENCES if template not in known]
    assert not gone, "nobody says these any more: move them to [older] in sim/report/zh.toml"
    assert not [template for template in wording.catalogue().older if template in known]


def fault_kinds() -> list[str]:
    union = get_args(FaultSpec)[0]
    return [get_args(model.model_fields["kind"].annotation)[0] for model in get_args(union)]


@pytest.mark.parametrize("template", SENTENCES)
def test_an_entry_is_chinese_and_takes_the_same_parameters(template: str) -> None:
    chinese = SENTENCES[template]
    mine, theirs = parameters(template), parameters(chinese)
    assert set(mine) == set(theirs)
    assert all(value == ("", "") for value in theirs.values()), (
        "figures are taken over as they stand"
    )
    if re.search(r"[A-Za-z]{3}", "".join(literal for literal, *_ in Formatter().parse(template))):
        assert HAN.search(chinese)
    filled = chinese.format(**dict.fromkeys(theirs, "N"))
    assert not re.search(r"[\u4e00-\u9fff][,;:!?()]|[,;!?()][\u4e00-\u9fff]", filled), "punctuation"
    assert not re.search(r"[，。；：（）] | [，。；：（）]", filled), (
        "full-width signs bring their space"
    )


@pytest.mark.parametrize("template", WITH_PARAMETERS)
def test_a_sentence_is_found_again(template: str) -> None:
    """Whatever else the catalogue holds: the sentence is read as what it was made of."""
    values: dict[str, Any] = {}
    expected: dict[str, str] = {}
    for name, (spec, kind) in parameters(template).items():
        if kind == "s":
            values[name], expected[name] = "collision", "碰撞"
        elif spec and spec != "s":
            values[name] = SAMPLES[spec[-1]]
            expected[name] = format(values[name], spec)
        else:
            values[name], expected[name] = "J1", "'J1'" if kind == "r" else "J1"
    english = say(template, **values)
    assert wording.chinese(english) == SENTENCES[template].format(**expected)


# -- criteria ---------------------------------------------------------------------------------------------------------


def judged(*heard: Event, moves: bool = True, facts: RunFacts | None = None) -> Verdict:
    """A verdict on one bus with every kind of criterion."""
    vehicle = {
        "name": "bus1", "type": "articulated_bus_18m", "start_lane": "1/0/-1", "destination_lane": "2/0/-1",
        "stops": [{"station": "S0"}],
    }  # fmt: skip
    more: dict[str, dict[str, Any]] = {"message_periods": {"max_gap_ms": {"spat": 100.0, "bsm": 100.0}}, "traffic_flow": {"min_arrived": 1, "min_peak": 1, "min_mean_speed_mps": 1.0}}  # fmt: skip
    criteria = [{"kind": kind} | more.get(kind, {}) for kind in kinds()]
    spec = check_scene(
        {"name": "t", "duration_s": 60.0, "map": {"file": "m.xodr"}, "vehicles": [vehicle], "criteria": criteria}, "test"
    )  # fmt: skip
    judge = Judge(spec, {"bus1": 1}, rear={"bus1": RearSection(-1.2, 5.5)}, lane_key=lambda lane: f"{lane}/0/-1")  # fmt: skip
    if moves:
        t_s = np.arange(2000) * 0.01
        judge.on_trace(trace(20.0, speed_mps=8.0 + 6.0 * np.sin(t_s), accel_mps2=6.0 * np.cos(t_s), limit_mps=13.9))  # fmt: skip
    for event in sorted(heard, key=lambda event: event.t_ns):
        judge.on_event(event)
    return judge.finish(facts or RunFacts(60.0, {"bus1": 1}, max_gap_ms={"rsu/J1 v2x/spat": 120.0}))


def everything(rng: np.random.Generator) -> list[Event]:
    out = []
    for kind in EventKind:
        for _ in range(int(rng.integers(0, 3))):
            text = str(rng.choice(["", "J1", "doors opened while moving"]))
            actor, other, lane = (int(rng.choice(some)) for some in ([1, 17], [-1, 2, 99], [-1, 5]))
            out.append(Event(int(rng.integers(0, 10**10)), kind, actor, other, lane, float(rng.choice([-3.5, 0.0, 0.25])), text))  # fmt: skip
    return out


def test_no_sentence_or_name_of_a_criterion_stays_english() -> None:
    results: list[CriterionResult] = []
    for seed in range(60):
        verdict = judged(*everything(np.random.default_rng(seed)), moves=seed % 3 > 0)
        results += [*verdict.results, CriterionResult("no_collision", False, verdict.sentence)]
    texts = {text for result in results for text in (result.name, result.sentence)}
    assert len(texts) > 200
    left = {}
    for text in texts:
        chinese = wording.chinese(text)
        words = re.findall(r"[A-Za-z_]{2,}", LATIN.sub("", chinese or text))
        if chinese is None or words:
            left[text] = (chinese, words)
    assert not left


def test_a_failing_verdict_reads_as_an_engineer_writes_it() -> None:
    hit = Event(12_340_000_000, EventKind.COLLISION, 17, 1, -1, 3.14)
    red = Event(40_000_000_000, EventKind.RED_LIGHT, 1, 3, 5, 0.52, "J1")
    verdict = judged(hit, red)
    said = {
        result.name: (result.sentence, wording.chinese(result.sentence))
        for result in verdict.results
    }
    assert said["no_collision"] == (
        "1 collision (automated vehicles); first at 12.34 s: vehicle 17 with bus1 at 3.1 m/s",
        "碰撞 1 次（自动驾驶车辆）；首次于 12.34 s：车辆 17 与 bus1 相撞，相对速度 3.1 m/s",
    )
    assert said["no_red_light"] == (
        "1 red light run (automated vehicles); first at 40.00 s: bus1 lane 5/0/-1, 0.52 s after red began (J1)",
        "闯红灯 1 次（自动驾驶车辆）；首次于 40.00 s：bus1，车道 5/0/-1，红灯亮起 0.52 s 后越过停止线（J1）",
    )
    assert said["arrival/bus1"] == (
        "bus1 did not reach its destination within 60 s", "bus1 未能在 60 s 内到达终点",
    )  # fmt: skip
    assert (
        said["message_periods/spat"][1] == "SPAT 发送间隔最大 120 ms（rsu/J1，1 个发送方中最慢者）"
    )
    first = re.escape(str(said["no_collision"][1]))
    assert re.fullmatch(rf"\d+ 项判据中有 \d+ 项未满足；首项：{first}", str(wording.chinese(verdict.sentence)))  # fmt: skip


def test_numbers_of_vehicles_have_names() -> None:
    numbers = judged().numbers["bus1"]
    assert not [name for name in (*numbers, "signal_delay_s") if wording.metric(name) is None]
    assert wording.metric("bus1.dwell_s") == "bus1 · 停站时间"
    assert wording.metric("traffic.peak") == "背景交通 · 同时在网峰值"
    assert wording.metric("nobody") is None and wording.metric("bus1.") is None


# -- others -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("3 of 6 passed, 2 failed, 1 infrastructure error; worst: gone: its worker was killed (SIGKILL): by somebody, or by a system out of memory",
         "6 个运行中 3 个通过、2 个未通过、1 个基础设施错误；最严重：gone：工作进程被强制终止（SIGKILL）：人为终止，或系统内存不足"),
        ("no end within 60 s of wall time, at 3.2 s simulated; its worker was ended. Allow more with --timeout",
         "实际耗时超过 60 s 仍未结束（已仿真到 3.2 s），工作进程已被终止。可用 --timeout 放宽"),
        ("unit obu/bus1 at tick 412 (t=4.12 s) raised ValueError: x, y. The log up to this tick is whole; the cause follows",
         "单元 obu/bus1 于第 412 步（t=4.12 s）抛出异常 ValueError: x, y。此步之前的日志完整；原因见下"),
        ("bus1 left at most 15.5 s late, Dongfeng eastbound", "bus1 离站时间最多晚点 15.5 s（Dongfeng eastbound）"),
        ("5 rules broken (background traffic); first at 1.00 s: off_road, vehicle 17 lane 4/0/-2; in all 3 collision, 2 red_light",
         "违规 5 次（背景交通）；首次于 1.00 s：驶出可行驶车道，车辆 17，车道 4/0/-2；合计碰撞 3 次、闯红灯 2 次"),
        ("1 of 2 passed, 1 bad input; worst: a[seed=3]: a.toml with --set seed=3: criteria.9.kind: no criterion 'nope'. Nearest known: no_collision, comfort. Print what a scene may say with `icv schema`.",
         "2 个运行中 1 个通过、1 个输入有误；最严重：a[seed=3]：a.toml（附加 --set seed=3）：criteria.9.kind：没有判据“nope”。相近的有：no_collision, comfort。可用 `icv schema` 查看场景文件的写法。"),
        ("vehicles.0.destination_lane: Lane '1/0/9' is not on road network 'brt'; a lane is written road/section/lane. Nearest names: 1/0/3, 1/0/2. List all with `icv map info`.",
         "vehicles.0.destination_lane：路网“brt”中没有车道“1/0/9”；车道写作 道路/路段/车道。相近的有：1/0/3, 1/0/2。可用 `icv map info` 列出全部车道。"),
        ("faults.0: sensor_loss of obu/bus1, gnss", "故障 faults.0：传感器失效（obu/bus1），gnss"),
    ],
)  # fmt: skip
def test_sentences_within_sentences(english: str, chinese: str) -> None:
    assert wording.chinese(english) == chinese


@pytest.mark.parametrize(
    "text",
    ["", " ", "unknown key 'vehicels'", "hello, world", "a of b", "x: y", "my lane is nice", "{0}", "{name!s}", "%s",
     "one: two (three), four; first at the door", "all criteria passed", "all x criteria passed", "constructor", "\x00\n"],
)  # fmt: skip
def test_what_nobody_says_stays_as_it_is(text: str) -> None:
    assert wording.chinese(text) is None
    assert wording.dictionary([text], [text]) == {}


def test_a_comparison_says_verdicts_in_chinese_too() -> None:
    values = "all 3 criteria passed", "1 of 3 criteria failed; first: nobody sent MAP"
    found = Finding(Kind.RESULT, 1, 10, "log/result", "", "sentence", *values)
    assert all(value in sentence(found, "en") for value in values)
    assert "1 项未满足；首项：没有任何单元发送 MAP" in sentence(found, "zh")
    assert "全部 3 项判据均已满足" in sentence(found, "zh")


def test_what_is_put_in_is_never_read_as_a_template() -> None:
    assert (
        wording.chinese("{name} {0} arrived at 1.0 s, due by 2.0 s") is None
    )  # a name is one word
    assert (
        wording.chinese("{x} arrived at 1.0 s, due by 2.0 s")
        == "{x} 于 1.0 s 到达终点，要求不晚于 2.0 s"
    )


def test_a_log_made_to_be_slow_is_not() -> None:
    parts = ["a: b (c), d of e; first: f lane g with h at 3 m/s rear", "1 of 2 criteria failed; first: x", "unit a at tick 1 (t=1.00 s)", "1 collision, "]  # fmt: skip
    evil = [(", ".join([part] * 200) + str(k))[:2000] for k in range(2_500) for part in parts]
    begun = time.monotonic()
    wording.dictionary(evil)
    assert time.monotonic() - begun < 20.0
    assert wording.chinese("all 12 criteria passed" + " " * 5_000) is None
