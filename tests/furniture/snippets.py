"""The snippets of a document, for the tests that run them: what comes out is what it shows."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent.parent


def code_blocks(document: str, *kinds: str) -> list[str]:
    """Return the code blocks of ``document``, a path in this repository, that are of these ``kinds``, in order."""
    pattern = rf"^( *)\.\. code-block:: (?:{'|'.join(kinds)})\n\n((?:\1   .*\n|\n)+)"
    text = (ROOT / document).read_text()
    return [dedent(block).strip("\n") + "\n" for _, block in re.findall(pattern, text, re.MULTILINE)]


def commands(document: str) -> list[tuple[str, str]]:
    """Return each command of the console blocks of ``document`` with the output that stands below it."""
    return [
        (command.replace("\\\n", ""), output)
        for block in code_blocks(document, "console")
        for command, output in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]
