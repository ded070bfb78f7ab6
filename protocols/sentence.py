"""Sentences that people read: a template in English and what is put into it.

`say` gives the English at once, so records and files hold plain text. What makes it more than `str.format` is that the template stands
in the code as a literal: `sim/report/wording.py` finds the sentence's template again and says it in another language, and a test
collects all templates and compares them with the catalogue of translations (as gettext does).

A template names its parameters. `{name!s}` marks one that is a phrase itself (a part of a sentence made by `say`, a word marked by
`phrase`, a list of such with ", " between) and is translated in its turn; all others stay as they are, figures with their digits. `{name:s}` promises one word,
`{names}` a list of names, which keeps templates apart.
"""

from __future__ import annotations


def say(template: str, /, **values: object) -> str:
    """The English sentence. `template`: a literal, or one that `phrase` has marked."""
    return template.format(**values)


def phrase(template: str, /) -> str:
    """`template` itself: marks a literal that is said, or put into a sentence, somewhere else."""
    return template


def one_line(text: str, longest: int = 3_000) -> str:
    """`text` for a terminal: what a log or a message put into it neither moves the cursor nor fills the screen."""
    plain = "".join(c if c.isprintable() else " " for c in text[: longest + 1])
    return plain if len(plain) <= longest else f"{plain[:longest]} ..."
