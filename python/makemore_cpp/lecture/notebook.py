"""The lecture as a notebook of format 4.5: the same code and its results."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from makemore_cpp.lecture.walk import Shown

# Characters that mean something in Markdown, which texts and tokens may hold.
MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")
INTRODUCTION = """\
# The lecture's afternoon

The claims of “Building makemore, part 2: MLP”, the calls that show them, and their results."""


def notebook_of(shown: Sequence[Shown]) -> str:
    """Return the notebook as JSON; its code is that of the segments."""
    cells = [_markdown("introduction", INTRODUCTION)]
    for i, one in enumerate(shown, 1):
        part, name = one.segment, f"part-{i}"
        values = {"text/plain": repr(one.values)}
        cells.append(_markdown(f"{name}-claim", f"## {_escaped(part.title)}\n\n{part.claim}"))
        cells.append(_code(f"{name}-code", part.code, values))
        if part.picture_code:
            png = {"image/png": base64.b64encode(one.png).decode()} if one.png else None
            cells.append(_code(f"{name}-picture", part.picture_code, png))
        cells.append(_markdown(f"{name}-finding", f"**→** {_escaped(one.sentence)}"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1) + "\n"


def _escaped(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", text)


def _markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def _code(name: str, code: str, data: dict[str, str] | None) -> dict[str, Any]:
    """Return a cell of code with its result, if it has one."""
    common: dict[str, Any] = {"metadata": {}, "execution_count": None}
    results = [] if data is None else [{"output_type": "execute_result", "data": data, **common}]
    return {"cell_type": "code", "id": name, "source": code, "outputs": results, **common}
