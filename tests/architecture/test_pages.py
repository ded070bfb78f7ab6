"""What the pages tell people to type exists: links, commands, options; the two READMEs say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from sim.cli import app

ROOT = Path(__file__).parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = [*READMES, *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
CALL = re.compile(r"(?<![\w./-])(?:\.venv/bin/)?icv ([a-z][a-z-]*)((?: [^`\n#|;&>]*)?)")


def commands() -> dict[str, set[str]]:
    """Command, or group and command -> its options."""
    found: dict[str, set[str]] = {}

    def collect(command: object, name: str) -> None:
        below = getattr(command, "commands", {})
        options = {flag for item in command.params for flag in (*item.opts, *item.secondary_opts)}  # type: ignore[attr-defined]
        found[name] = options | {"--help"}
        for key, inner in below.items():
            collect(inner, f"{name} {key}".strip())

    assert isinstance(app, typer.Typer)
    collect(get_command(app), "")
    return found


COMMANDS = commands()


def calls(page: Path) -> list[tuple[str, str]]:
    """(command, what follows it) of every `icv ...` in a block or between backticks."""
    text = page.read_text(encoding="utf-8")
    code = re.findall(
        r"^```\w*\n(.*?)^```|^((?:    .+\n)+)|`([^`\n]+)`", text, re.MULTILINE | re.DOTALL
    )
    lines = "\n".join(part for parts in code for part in parts if part).replace("\\|", "/")
    return [(match[1], match[2]) for match in CALL.finditer(lines)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_of_the_pages_exist(page: Path) -> None:
    wrong = []
    for name, rest in calls(page):
        words = rest.split()
        whole = f"{name} {words[0]}" if words and f"{name} {words[0]}" in COMMANDS else name
        options = COMMANDS.get(whole)
        if options is None:
            wrong.append(f"icv {name}: no such command")
            continue
        inner = set().union(*(COMMANDS[key] for key in COMMANDS if key.startswith(f"{whole} ")))
        for flag in re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", rest):
            if flag not in options | inner:
                wrong.append(f"icv {whole} {flag}: no such option")
    assert wrong == []


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (page.read_text(encoding="utf-8") for page in READMES)
    assert english.count("\n## ") == chinese.count("\n## ")

    def typed(text: str) -> list[str]:
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]

    assert typed(english) == typed(chinese)
    rows = [
        re.findall(r"^\| (`icv .*?`)(?: / | \||、|, )", text, re.MULTILINE)
        for text in (english, chinese)
    ]
    assert rows[0] == rows[1] and len(rows[0]) > 20


def test_every_command_stands_in_both_readmes() -> None:
    leaves = [
        name
        for name in COMMANDS
        if name and not any(key.startswith(f"{name} ") for key in COMMANDS)
    ]
    for page in READMES:
        named = page.read_text(encoding="utf-8").replace("\\|", "|")
        for leaf in leaves:
            group, _, own = leaf.partition(" ")
            pattern = rf"icv {group}\b" if not own else rf"icv {group} (?:\w+\|)*{own}\b"
            assert re.search(pattern, named), f"{page.name}: icv {leaf}"
