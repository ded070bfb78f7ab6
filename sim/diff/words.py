"""What a comparison says, in English and Chinese: one sentence per finding, link and remark."""

from __future__ import annotations

from math import isnan
from typing import Literal
from unicodedata import category

from sim.diff.model import NOTHING, Difference, Finding, Kind, Link, unit_of
from sim.diff.units import amount, delay, valued
from sim.report import wording

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

_KINDS: dict[Kind, tuple[str, str]] = {
    Kind.CONFIGURATION: ("configuration", "配置"),
    Kind.MAP: ("road file", "道路文件"),
    Kind.VERSION: ("version", "版本"),
    Kind.MESSAGE: ("field of a message", "消息字段"),
    Kind.MISSING: ("missing", "缺失"),
    Kind.EXTRA: ("extra", "多出"),
    Kind.DELAYED: ("delayed", "延迟"),
    Kind.FATE: ("heard or lost", "接收结果"),
    Kind.ORDER: ("order", "顺序"),
    Kind.DRIFT: ("numeric drift", "数值漂移"),
    Kind.EARLY_END: ("early end", "提前结束"),
    Kind.LATE_START: ("late start", "开始较晚"),
    Kind.PLAN: ("plan", "规划"),
    Kind.COMMAND: ("command", "指令"),
    Kind.STATE: ("state", "状态"),
    Kind.SIGNAL: ("signal", "信号灯"),
    Kind.EVENT: ("event", "事件"),
    Kind.NOTE: ("note of a unit", "单元备注"),
    Kind.RESULT: ("result", "结果"),
    Kind.UNRECORDED: ("not recorded", "未记录"),
    Kind.DAMAGED: ("damaged file", "文件损坏"),
}
_SENTENCES: dict[Kind, tuple[str, str]] = {
    Kind.CONFIGURATION: ("{field} is {b}, in A {a}", "{field} 为 {b}，A 中为 {a}"),
    Kind.MAP: ("another road file: SHA-256 {b}, in A {a}", "道路文件不同：SHA-256 {b}，A 中为 {a}"),
    Kind.VERSION: ("other code: {field} {b}, in A {a}", "代码不同：{field} {b}，A 中为 {a}"),
    Kind.MISSING: ("{what} is not in B ({a})", "{what} 不在 B 中（{a}）"),
    Kind.EXTRA: ("{what} is only in B ({b})", "{what} 只在 B 中（{b}）"),
    Kind.DELAYED: ("{what} was sent at {b}, in A at {a}", "{what} 发送于 {b}，A 中为 {a}"),
    Kind.FATE: ("{what}: {field} {b}, in A {a}", "{what}：{field} {b}，A 中为 {a}"),
    Kind.ORDER: ("{what} has changed places: B has {b}, A has {a}", "{what} 的顺序改变：B 为 {b}，A 为 {a}"),
    Kind.DRIFT: ("{what}: {place} leaves slowly from here, {b}, in A {a}{by}", "{what}：{place} 从此处缓慢偏离，{b}，A 中为 {a}{by}"),
    Kind.EARLY_END: ("{less} ends earlier: A at {a}, B at {b}", "{less} 提前结束：A 于 {a}，B 于 {b}"),
    Kind.LATE_START: ("{more} begins later: A at {a}, B at {b}", "{more} 开始较晚：A 于 {a}，B 于 {b}"),
    Kind.UNRECORDED: (
        "the digests part in {field}, and nothing that is recorded of it differs at that tick",
        "摘要在 {field} 部分出现分歧，而该时刻记录的数据并无差异",
    ),
    Kind.DAMAGED: ("B: {b}; A: {a}", "B：{b}；A：{a}"),
}  # fmt: skip
_BROKEN = (
    "{less} breaks off: A can be read up to {a}, B up to {b}",
    "{less} 中断：A 可读至 {a}，B 可读至 {b}",
)
_NO_DIGEST = ("only {side} has a digest of this tick", "只有 {side} 有该步的摘要")
_ROWS = (
    "{what}: row {row} is that of {field} {b}, in A {a}",
    "{what}：第 {row} 行的 {field} 为 {b}，A 中为 {a}",
)
_RECORDED = (Kind.RESULT, Kind.EVENT, Kind.DAMAGED)  # whose values are sentences of the run
_ONE_SIDE = ("{field} is only in {side}: {one}", "{field} 只在 {side} 中：{one}")
_PLAIN = ("{what}: {place} is {b}, in A {a}{by}", "{what}：{place} 为 {b}，A 中为 {a}{by}")
_ROW_ALONE = (
    ("{what}: {entity} is not in B", "{what}：{entity} 不在 B 中"),
    ("{what}: {entity} is only in B", "{what}：{entity} 只在 B 中"),
)
_RADIO = (
    "{receiver} hears {what} after {b}, in A after {a}",
    "{receiver} 在 {b} 后收到 {what}，A 中为 {a}",
)
_LINKS: dict[str, tuple[str, str]] = {
    "root": ("Origin", "起因"),
    "first": ("First difference in what was recorded", "记录数据中的首个差异"),
    "heard": ("Heard by {unit} at t={t} s", "{unit} 于 t={t} s 收到"),
    "fate": ("Lost or heard otherwise by {unit}", "{unit} 的接收结果不同"),
    "late": ("Heard at another time by {unit}", "{unit} 收到的时间不同"),
    "follows": ("What changed first after that", "其后首先改变的是"),
    "seen": ("Seen by the sensors of {unit} by t={t} s (not recorded)", "{unit} 的传感器最迟于 t={t} s 感知到（未记录）"),
    "fused": ("{unit} tracks other objects", "{unit} 跟踪的目标改变"),
    "plan": ("{unit} plans otherwise", "{unit} 的规划改变"),
    "command": ("{unit} commands otherwise", "{unit} 的指令改变"),
    "message": ("{unit} says otherwise", "{unit} 发出的消息改变"),
    "state": ("and moves otherwise", "车辆运动随之改变"),
    "signal": ("and the lights change", "信号灯随之改变"),
    "event": ("which brings another event", "引发不同的事件"),
    "verdict": ("In the end", "最终结果"),
}  # fmt: skip
_REMARKS: dict[str, tuple[str, str]] = {
    "no_effect": ("Nothing that was recorded of the run differs.", "运行记录本身没有差异。"),
    "other_keys": ("Other keys that differ and could be the cause too: {keys}.", "其他不同且也可能是原因的配置项：{keys}。"),
    "lost": ("{log} is not whole: {what}. It was read as far as it goes.", "{log} 不完整：{what}。已读取可恢复的部分。"),
    "damaged": ("A part of {log} cannot be read and was left out: t={from} to {to} s.", "{log} 中 t={from} 至 {to} s 的部分无法读取，已跳过。"),
    "damaged_more": ("{number} more parts of {log} cannot be read.", "{log} 中还有 {number} 个部分无法读取。"),
    "unread": ("Digests of {log} cannot be read in {number} blocks, the first written at t={at} s; the rest was compared.", "{log} 中有 {number} 个摘要块无法读取（首个写于 t={at} s），其余部分已比较。"),
    "thin": ("{log} holds digests only; messages and states cannot be compared.", "{log} 只含摘要，无法比较消息与状态。"),
    "no_result": ("{log} has no result: its run never came to its end.", "{log} 没有结果：该运行没有结束。"),
    "scenes": ("Other scenes: A is {a}, B is {b}.", "场景不同：A 为 {a}，B 为 {b}。"),
    "ticks": ("Other ticks: {a} ms in A, {b} ms in B; only common instants were compared.", "步长不同：A 为 {a} ms，B 为 {b} ms；只比较共同时刻。"),
    "end": ("A ends at {a}, B at {b}; compared as far as both go.", "A 结束于 {a}，B 结束于 {b}；只比较共有部分。"),
    "start": ("A begins at {a}, B at {b}; compared from where both have begun.", "A 开始于 {a}，B 开始于 {b}；只比较共有部分。"),
    "between": ("The digests part at tick {tick}; the next recorded sample of the world, at t={later} s, shows in whom.", "摘要于第 {tick} 步分歧；下一个世界采样（t={later} s）显示差异所在。"),
    "edited": ("Both logs carry the same digest for tick {tick}: not the run differs but the recording, which was changed afterwards.", "两个日志在第 {tick} 步的摘要相同：不是运行不同，而是记录在事后被修改。"),
    "versions": ("Versions differ (they are not compared, but may be the cause): {what}.", "版本不同（不参与比较，但可能是原因）：{what}。"),
    "dirty": ("Both ran from a checkout with local changes ({commit}), so the code may differ.", "两次运行都来自有本地改动的代码（{commit}），代码可能不同。"),
    "unused": ("Tolerances that took nothing, and may be wrong or no longer needed: {rules}.", "未用到的容差规则（可能有误或已不再需要）：{rules}。"),
    "order": ("The same records stand in another order in the two files too, first at tick {tick}; no run depends on that.", "两个文件中相同记录的顺序也不同（最先于第 {tick} 步）；运行不受其影响。"),
    "absent": ("{log} has nothing at all of {topics}.", "{log} 中完全没有 {topics}。"),
    "renumbered": ("{number} messages carry other numbers because one before them is missing or extra.", "{number} 条消息的序号因之前的消息缺失或多出而改变。"),
}  # fmt: skip


def kind_name(kind: Kind, language: Language = "en") -> str:
    """What a kind is called."""
    return _of(_KINDS[kind], language)


def place(found: Finding, language: Language = "en") -> str:
    """Tick and time."""
    return _of(
        (
            f"tick {found.tick} (t={found.t_ns / 1e9:.2f} s)",
            f"第 {found.tick} 步（t={found.t_ns / 1e9:.2f} s）",
        ),
        language,
    )


def sentence(found: Finding, language: Language = "en") -> str:
    """One finding without its time."""
    pair = _SENTENCES.get(found.kind, _PLAIN)
    if found.kind is Kind.DELAYED and found.receiver:
        pair = _RADIO
    elif found.kind is Kind.CONFIGURATION and NOTHING in (found.a, found.b):
        pair = _ONE_SIDE
    elif found.kind is Kind.UNRECORDED and NOTHING in (found.a, found.b):
        pair = _NO_DIGEST
    elif found.kind is Kind.DAMAGED and found.field == "end":
        pair = _BROKEN
    elif found.kind is Kind.ORDER and found.row >= 0:
        pair = _ROWS
    elif found.row >= 0 and found.entity and NOTHING in (found.a, found.b):
        pair = _ROW_ALONE[found.a == NOTHING]
    a, b = (_value(found, text) for text in (found.a, found.b))
    if language == "zh" and found.kind in _RECORDED:
        a, b = (wording.chinese(text) or text for text in (a, b))
    return _of(pair, language).format(
        field=found.field, a=a, b=b, by=_by(found), what=_what(found, language),
        place=_field(found, language), receiver=found.receiver, entity=found.entity, side="B" if found.a == NOTHING else "A",
        one=b if found.a == NOTHING else a, row=found.row,
        less="B" if (found.by or 0.0) < 0.0 else "A", more="B" if (found.by or 0.0) > 0.0 else "A",
    )  # fmt: skip


def _value(found: Finding, text: str) -> str:
    """One side's value with its unit."""
    if found.kind is Kind.DELAYED:
        return delay(text)
    return valued(found.field, text or "''")


def _by(found: Finding) -> str:
    """How much b is more than a."""
    if found.by is None or found.by == 0 or isnan(found.by) or "unknown" in (_value(found, t) for t in (found.a, found.b)):  # fmt: skip
        return ""
    return f" ({'+' if found.by > 0 else ''}{amount(found.field, found.by, 6)})"


def link_text(link: Link, language: Language = "en") -> tuple[str, str]:
    """(how a step follows, the step)."""
    t_ns = link.t_ns if link.t_ns >= 0 else link.finding.t_ns
    head = _of(_LINKS[link.relation], language).format(unit=link.unit, t=f"{t_ns / 1e9:.2f}")
    if link.relation == "heard" and not (link.finding.a or link.finding.b):
        return head, _what(link.finding, language)
    return head, sentence(link.finding, language)


def remark_text(remark: tuple[str, dict[str, str]], language: Language = "en") -> str:
    """One remark."""
    kind, values = remark
    if language == "zh" and kind == "lost":
        values = values | {"what": wording.chinese(values["what"]) or values["what"]}
    return _of(_REMARKS[kind], language).format(**values)


def summary(found: Difference, language: Language = "en") -> str:
    """The whole answer in one sentence."""
    cause = found.cause
    if cause is None:
        number = sum(found.tolerated.values())
        if number:
            return _of(
                (
                    f"same within tolerance: {number} values were tolerated",
                    f"在容差内相同：容许了 {number} 个值",
                ),
                language,
            )
        return _of(("same: no difference", "相同：没有差异"), language)
    head = kind_name(cause.kind, language)
    if cause.kind in (Kind.CONFIGURATION, Kind.MAP, Kind.VERSION):
        text = f"{head}: {sentence(cause, language)}"
        if found.first is not None and found.first is not cause:
            first = f"{place(found.first, language)}, {sentence(found.first, language)}"
            text += _of((f"; seen first at {first}", f"；最先表现为 {first}"), language)
        return text
    return f"{head}, {place(cause, language)}: {sentence(cause, language)}"


def chain_line(found: Difference) -> str:
    """The chain as one line, for terminals and JSON."""
    parts = []
    for link in found.chain:
        head, text = link_text(link)
        if link.relation == "root":
            is_run = link.finding.kind not in (Kind.CONFIGURATION, Kind.MAP, Kind.VERSION)
            parts.append(f"{place(link.finding)}, {text}" if is_run else text)
        elif link.relation in ("heard", "seen"):
            parts.append(head[0].lower() + head[1:])
        else:
            parts.append(
                f"{head[0].lower() + head[1:]} at t={link.finding.t_ns / 1e9:.2f} s: {text}"
            )
    return " -> ".join(parts)


def visible(text: str) -> str:
    """Text out of a log as it can be shown: what would steer the terminal, break the line or turn its direction stands as its code."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or category(sign) == "Zs" else sign.encode("unicode_escape").decode()
        for sign in text
    )  # fmt: skip


def _of(pair: tuple[str, str], language: Language) -> str:
    return pair[0] if language == "en" else pair[1]


def _what(found: Finding, language: Language) -> str:
    """Whose record it is."""
    topic, who = found.topic, unit_of(found)
    if topic == "log/radio":
        topic = found.entity or topic
    number = f" seq {found.seq}" if found.seq >= 0 and topic.startswith("v2x/") else ""
    row = f" row {found.row}" if found.topic == "log/radio" and found.row >= 0 else ""
    out = f"{who} {topic}{number}{row}".strip()
    if found.topic == "log/radio" and found.receiver and found.kind is not Kind.DELAYED:
        out += _of((f" at {found.receiver}", f"（接收方 {found.receiver}）"), language)
    return out


def _field(found: Finding, language: Language) -> str:
    row = f"[{found.row}]" if found.row >= 0 else ""
    whose = ""
    if found.entity:
        whose = _of((f" of {found.entity}", f"（{found.entity}）"), language)
    return f"{found.field}{row}{whose}"
