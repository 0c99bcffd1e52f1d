"""A page in Chromium without a window and without a network, driven over two pipes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip
SECONDS = 120


class Page:
    """One page: it takes commands and keeps the events that happen meanwhile."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Network.emulateNetworkConditions", offline=True, latency=0,
                  downloadThroughput=0, uploadThroughput=0)  # fmt: skip

    def send(self, method: str, **parameters: Any) -> Any:
        """Return Chromium's answer to a command, and keep the events before it."""
        return self._browser.send(method, parameters, self._session, self.events)

    def open(self, path: Path, width: int = 1280, dark: bool = False) -> None:
        """Open a file, and wait until it has been shown."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        self._browser.wait_for("Page.loadEventFired", self.events)
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def run(self, expression: str) -> Any:
        """Return the value of an expression, or of the promise that it gives."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    @property
    def complaints(self) -> list[str]:
        """Return what the page wrote to the console, and its errors."""
        names = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(e["params"]) for e in self.events if e["method"] in names]

    @property
    def dialogs(self) -> int:
        """Return the number of dialogs that the page opened."""
        return sum(e["method"] == "Page.javascriptDialogOpening" for e in self.events)

    @property
    def requests(self) -> list[str]:
        """Return the addresses that the page requested, itself included."""
        return [
            e["params"]["request"]["url"]
            for e in self.events
            if e["method"] == "Network.requestWillBeSent"
        ]


class Browser:
    """Messages to a process and back: JSON, each ended by a zero byte."""

    def __init__(self, to_it: int, from_it: int) -> None:
        self._to_it = to_it
        self._from_it = open(from_it, "rb", closefd=False)  # noqa: SIM115 - closed by its maker
        self._rest = b""
        self._count = 0

    def send(
        self, method: str, parameters: Any, session: str | None, events: list[dict[str, Any]]
    ) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to_it, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            if "method" in answer:
                events.append(answer)

    def wait_for(self, event: str, events: list[dict[str, Any]]) -> None:
        while all(e["method"] != event for e in events):
            events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._from_it.fileno(), 1 << 20)
            assert more, "Chromium has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def new_page(self) -> Page:
        target = self.send("Target.createTarget", {"url": "about:blank"}, None, [])
        attached = self.send(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}, None, []
        )
        return Page(self, attached["sessionId"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, which reads from descriptor 3 and writes to 4; skip where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    pipes = [*os.pipe(), *os.pipe()]
    # The descriptors must not be 3 or 4 themselves.
    its_input, to_it, from_it, its_output = (
        fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 10) for pipe in pipes
    )
    for pipe in pipes:
        os.close(pipe)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = os.open(Path(folder) / "log", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        actions = [
            (os.POSIX_SPAWN_DUP2, its_input, 3),
            (os.POSIX_SPAWN_DUP2, its_output, 4),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ]
        process = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}/profile"],
            os.environ,
            file_actions=actions,
            setpgroup=0,
        )
        os.close(its_input)
        os.close(its_output)
        # A test that waits in vain fails, and does not hang.
        before = signal.signal(signal.SIGALRM, lambda *_: os.killpg(process, signal.SIGKILL))
        signal.alarm(SECONDS)
        try:
            yield Browser(to_it, from_it)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            for descriptor in (to_it, from_it, log):
                os.close(descriptor)


def violations(tab: Page) -> Any:
    """Return the violations of accessibility that axe finds in the page; or skip."""
    script = os.environ.get("MAKEMORE_AXE")
    if not script:
        pytest.skip("MAKEMORE_AXE does not name axe.min.js")
    tab.run(Path(script).read_text())
    return tab.run(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}).then((all) =>"
        " all.violations.map(({id, nodes}) => [id, nodes.map((node) => node.html)]))"
    )
