"""Recorded sentences in Chinese: the template of a sentence is found again, and said in the other language.

Logs and results hold English alone (`protocols.sentence`). The catalogue (`zh.toml`, `zh_inputs.toml`) gives, for each template that stands in the code, its
Chinese. A sentence is matched against the templates; what was put in is taken over as it stands, digits included, and parts marked `!s`
are translated in their turn. Where several templates fit, that one is right which leaves the least of the sentence unexplained. What is
in no catalogue stays English: an older or newer version wrote it, or a person did.

Logs are not to be trusted, so one attempt is linear in the sentence (each gap ends at the first place where what follows it fits), and
their number is limited.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from string import Formatter

FILES = (
    "zh.toml",
    "zh_inputs.toml",
)  # the second: what is wrong with a scene, a road, a suite, an address
LONGEST = 2_000  # characters of a sentence that is looked at
EFFORT = 500_000  # matches of all sentences of a page, a second or two; a run takes some thousands
DEPTH = 16  # of phrases within phrases: more than any sentence of ours has
ATTEMPTS = 1_000  # matches of one sentence and its phrases
_PIECES = 40  # of a list within a sentence
_FIGURE = r"[-+]?(?:\d{1,30}(?:\.\d{1,20})?(?:e[-+]?\d{1,3})?|inf|nan)"
_SPECS = {"d": r"[-+]?\d{1,20}", "f": _FIGURE, "g": _FIGURE, "%": _FIGURE + "%", "s": r"\S{1,200}"}
NAMES = "names"  # a parameter of this name is a list of names: as it should be, whatever words are in it
_LETTERS = 4  # a template with fewer fits almost anything: then one of its phrases must be known


@dataclass(frozen=True, slots=True)
class Template:
    """One entry: how a sentence is recognised, and what it is in Chinese."""

    literal: str  # the longest fixed part
    weight: int  # characters that are fixed
    is_weak: bool
    pattern: re.Pattern[str]
    phrases: frozenset[str]  # parameters that are phrases themselves
    figures: frozenset[str]  # parameters that are numbers
    chinese: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries."""

    sentences: Mapping[str, str]  # template -> Chinese template
    older: Mapping[str, str]  # the same, of templates that only older logs were written with
    words: Mapping[str, str]  # names of metrics and the like, whole


@cache
def catalogue() -> Catalogue:
    """The catalogue that comes with the program, of both files."""
    one, more = (tomllib.loads(files("sim.report").joinpath(name).read_text(encoding="utf-8")) for name in FILES)  # fmt: skip
    return Catalogue(one["sentences"] | more["sentences"], one["older"], one["metrics"])


@cache
def _templates() -> tuple[dict[str, str], tuple[Template, ...]]:
    """(sentences without parameters, those with, the most specific first)."""
    fixed: dict[str, str] = {}
    open_ = []
    for english, chinese in {**catalogue().older, **catalogue().sentences}.items():
        if any(name is not None for _, name, _, _ in Formatter().parse(english)):
            open_.append(compiled(english, chinese))
        else:
            fixed[english.format()] = chinese.format()
    return fixed, tuple(sorted(open_, key=lambda item: -item.weight))


def compiled(english: str, chinese: str) -> Template:
    """An entry, ready to match. Gaps are atomic: none is tried again once what follows it was found."""
    groups = [""]  # one for each gap, and what comes before the first
    literals, phrases, figures, seen = [], set(), set(), set()
    for literal, name, spec, conversion in Formatter().parse(english):
        literals.append(literal)
        groups[-1] += re.escape(literal)
        if name is None:
            continue
        mark = f"?P<{name}>" if name not in seen else "?:"
        seen.add(name)
        if conversion == "s":
            phrases.add(name)
        if spec:
            if spec != "s":
                figures.add(name)
            groups[-1] += f"({mark}{_SPECS[spec[-1]]})"
        else:
            groups.append(f"({mark}.*?)")
    groups[-1] += r"\Z"
    pattern = groups[0] + "".join(f"(?>{group})" for group in groups[1:])
    fixed = "".join(literals)
    return Template(
        max(literals, key=len), len(fixed), sum(map(str.isalpha, fixed)) < _LETTERS,
        re.compile(pattern, re.DOTALL), frozenset(phrases), frozenset(figures), chinese,
    )  # fmt: skip


def chinese(sentence: str) -> str | None:
    """`sentence` in Chinese; None when the catalogue does not have it."""
    return _chinese(sentence)[0]


def _chinese(sentence: str) -> tuple[str | None, int]:
    """(the Chinese, how many matches were tried)."""
    if len(sentence) > LONGEST:
        return None, 0
    search = _Search()
    found = search.sentence(sentence, DEPTH)
    return None if found is None else found.text, search.attempts


def metric(name: str) -> str | None:
    """A metric's name in Chinese, unit left out: `dwell_s`, `bus1.dwell_s`."""
    words = catalogue().words
    if name in words:
        return words[name]
    subject, _, own = name.rpartition(".")
    return f"{subject} · {words[own]}" if subject and own in words else None


def dictionary(sentences: Iterable[str], metrics: Iterable[str] = ()) -> dict[str, str]:
    """What a page needs to speak Chinese: of the distinct `sentences` and `metrics`, those that have a translation."""
    out: dict[str, str] = {}
    effort = 0
    seen: set[str] = set()
    for sentence in sentences:
        if effort > EFFORT:
            break  # and the rest is not even asked for: it may be a million
        if sentence in seen:
            continue
        seen.add(sentence)
        found, attempts = _chinese(sentence)
        effort += attempts + 1
        if found is not None:
            out[sentence] = found
    return out | {name: word for name in metrics if (word := metric(name)) is not None}


@dataclass(frozen=True, slots=True)
class _Said:
    """A translation, and how many characters of the English it accounts for."""

    text: str
    explained: int


@dataclass(slots=True)
class _Search:
    """One sentence being looked up; remembers its phrases."""

    attempts: int = 0
    known: dict[str, _Said | None] = field(default_factory=dict)

    def sentence(self, text: str, depth: int) -> _Said | None:
        """The best translation of `text` as a whole."""
        if text not in self.known:
            self.known[text] = self._best(text, depth)
        return self.known[text]

    def _best(self, text: str, depth: int) -> _Said | None:
        fixed, templates = _templates()
        if text in fixed:
            return _Said(fixed[text], len(text))
        best: _Said | None = None
        for template in templates:
            if template.literal not in text or self.attempts >= ATTEMPTS:
                continue
            self.attempts += 1
            match = template.pattern.match(text)
            said = None if match is None else self._said(template, match.groupdict(), depth)
            if said is not None and (best is None or said.explained > best.explained):
                best = said
        return best

    def _said(self, template: Template, values: Mapping[str, str], depth: int) -> _Said | None:
        """The Chinese with `values`; None when a weak template has strangers for phrases."""
        out: dict[str, str] = {}
        explained, known = template.weight, 0
        for name, value in values.items():
            said = self._phrase(value, depth - 1) if name in template.phrases else None
            out[name] = value if said is None else said.text
            if said is not None:
                known, explained = known + 1, explained + said.explained
            elif name in template.figures or name == NAMES:
                explained += len(value)
        if template.is_weak and template.phrases and not known:
            return None
        return _Said(template.chinese.format(**out), explained)

    def _phrase(self, text: str, depth: int) -> _Said | None:
        """A part of a sentence, or a list of such; None when it is neither."""
        if depth <= 0:
            return None
        whole = self.sentence(text, depth)
        if ", " not in text:
            return whole
        pieces = [self.sentence(piece, depth) for piece in text.split(", ", _PIECES)]
        if any(piece is None for piece in pieces):
            return whole
        found = [piece for piece in pieces if piece is not None]
        explained = sum(piece.explained for piece in found) + 2 * (len(found) - 1)
        listed = _Said("、".join(piece.text for piece in found), explained)
        return listed if whole is None or listed.explained > whole.explained else whole
