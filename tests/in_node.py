"""Runs the page's own functions in Node, where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from makemore_cpp.export import page_file

NODE = shutil.which("node")


def answer(body: str, question: Any = None) -> Any:
    """Return the result of a function of `question` with this body, which may call the page's."""
    if NODE is None:
        pytest.skip("there is no node")
    functions = "".join(page_file.part(name) for name in ("net.js", "texts.js"))
    program = (
        f'"use strict";\n{functions}\nconst question = JSON.parse('
        'require("fs").readFileSync(0, "utf-8"));\n'
        f"const answer = () => {{ {body} }};\nconsole.log(JSON.stringify(answer()));"
    )
    result = subprocess.run(
        [NODE, "-e", program],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
