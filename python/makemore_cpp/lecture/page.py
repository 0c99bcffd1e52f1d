"""The lecture as one page for a browser, which needs neither a network nor a script."""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Any

from makemore_cpp._core import __version__
from makemore_cpp.export import page_file
from makemore_cpp.lecture.walk import PARTS, Shown, filled


def page_of(shown: Sequence[Shown]) -> str:
    """Return the page as HTML; nothing in texts, tokens or paths can become markup."""
    style = page_file.part("page.css") + (PARTS / "lecture.css").read_text(encoding="utf-8")
    seconds = sum(one.seconds for one in shown)
    return Template((PARTS / "lecture.html").read_text(encoding="utf-8")).substitute(
        style=style,
        policy=page_file.policy(style),
        summary=f"{len(shown)} parts in {seconds:.0f} seconds with makemore_cpp {__version__}.",
        contents="\n".join(
            f'<li><a href="#part-{i}">{escape(_parted(one.segment.title)[0])}</a></li>'
            for i, one in enumerate(shown, 1)
        ),
        sections="\n".join(_section(i, one) for i, one in enumerate(shown, 1)),
    )


def _parted(title: str) -> tuple[str, str]:
    """Return the title without the minutes of the lecture, and the minutes."""
    found = re.fullmatch(r"(.*) \((\d+:\d+)\)", title)
    return (title, "") if found is None else (found[1], found[2])


def _section(number: int, shown: Shown) -> str:
    part = shown.segment
    title, minutes = _parted(part.title)
    picture = ""
    if part.picture_code:
        picture = _code(part.picture_code) + _figure(shown)
    return f"""<section id="part-{number}" aria-labelledby="title-{number}">
<h2 id="title-{number}">{escape(title)} <small>{minutes}</small></h2>
<p class="claim">{escape(part.claim)}</p>
{_code(part.code)}
{_values(shown)}{picture}<p class="finding">{filled(part, shown.values, escape, _field)}</p>
</section>"""


def _field(name: str, text: str) -> str:
    """Return a value in a sentence, which says its name to whoever points at it."""
    return f'<b title="{escape(name)}">{escape(text)}</b>'


def _code(code: str) -> str:
    return f'<pre tabindex="0"><code>{escape(code)}</code></pre>'


def _figure(shown: Shown) -> str:
    title = escape(shown.segment.picture_title)
    if shown.png is None:
        return f'<p class="missing">{title}: the picture is missing. {escape(shown.missing)}</p>\n'
    data = base64.b64encode(shown.png).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="">'
        f"<figcaption>{title}</figcaption></figure>\n"
    )


def _values(shown: Shown) -> str:
    """Return the values as a list, without a value that is the whole sentence."""
    rows = [_value(n, value) for n, value in shown.values.items() if value != shown.sentence]
    return f'<dl class="values">\n{"".join(rows)}</dl>\n' if rows else ""


def _value(name: str, value: Any) -> str:
    """Return a value as a row of the list of values."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f'<dt class="wide">{escape(name)}</dt><dd class="wide">{_table(value)}</dd>\n'
    if isinstance(value, list):
        shown = "".join(f"<li><bdi>{escape(text_of(one))}</bdi></li>" for one in value)
        return f"<dt>{escape(name)}</dt><dd><ul>{shown}</ul></dd>\n"
    return f"<dt>{escape(name)}</dt><dd><bdi>{escape(text_of(value))}</bdi></dd>\n"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = _cells("th", rows[0])
    body = "".join(f"<tr>{_cells('td', map(text_of, row.values()))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def text_of(value: Any) -> str:
    """Return a value as text for people."""
    if value is None:
        return "n/a"
    if isinstance(value, float) and len(repr(value)) > 8:
        return f"{value:,.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text_of(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(text_of, value))
    return str(value)
