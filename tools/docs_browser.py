# SPDX-License-Identifier: Apache-2.0
"""Open pages in a headless Chromium, as a desktop and as a phone, and say what a reader would see go wrong.

``docs_browser.py [--screenshots DIR] [--dark] PAGE ...`` takes HTML files or directories of them. Exit status 1 where a
page is wider than the window, something is cut off or spills out of its cell, mathematics is not rendered, the console
has an error, or anything is fetched from the network.

The browser is driven by the DevTools protocol over a pipe: no driver, no port.
"""

import argparse
import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS: Final = {"desktop": (1280, 900), "phone": (390, 844)}
READY: Final = "window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"
# Elements that stick out of the window without a box of their own that scrolls, text that spills out of its cell,
# and formulas that are not set.
LOOK: Final = r"""
(() => {
  const found = [];
  const wide = innerWidth + 1;
  const root = document.scrollingElement;
  if (root.scrollWidth > wide) found.push(`the page is ${root.scrollWidth} px wide in a window of ${innerWidth}`);
  const kind = (node) => [node.tagName.toLowerCase(), ...node.classList].join('.');
  const path = (node) => `${kind(node)} "${node.textContent.trim().slice(0, 40)}"`;
  const scrolls = (node) => {
    for (let box = node.parentElement; box && box !== document.body; box = box.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(box).overflowX)) return true;
    }
    return false;
  };
  const shown = (node) => node.checkVisibility() && node.getClientRects().length > 0;
  for (const node of document.querySelectorAll('main *, article *')) {
    if (!shown(node)) continue;
    const box = node.getBoundingClientRect();
    const style = getComputedStyle(node);
    if (box.width > 1 && box.right > wide && !scrolls(node) && !node.closest('mjx-assistive-mml, .headerlink')) {
      found.push(`cut off at the right by ${Math.round(box.right - innerWidth)} px: ${path(node)}`);
    }
    const hides = /hidden|clip/.test(style.overflowX) && !node.closest('mjx-container, .visually-hidden');
    if (hides && node.scrollWidth > node.clientWidth + 2) {
      found.push(`its content is clipped: ${path(node)}`);
    }
    if (node.matches('td code, td p, th p')) {
      const cell = node.closest('td, th').getBoundingClientRect();
      const right = Math.max(...[...node.getClientRects()].map((part) => part.right));
      if (right > cell.right + 2) found.push(`spills out of its cell: ${path(node)}`);
    }
  }
  for (const node of document.querySelectorAll('.math')) {
    if (shown(node) && !node.querySelector('mjx-container')) found.push(`not rendered: ${path(node)}`);
  }
  for (const node of document.querySelectorAll('mjx-merror')) found.push(`a wrong formula: ${path(node)}`);
  for (const node of document.images) if (!node.complete || !node.naturalWidth) found.push(`no image: ${node.src}`);
  return [...new Set(found)];
})()
"""


def find() -> str | None:
    """The Chromium of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A headless Chromium and one page in it."""

    def __init__(self) -> None:
        binary = find()
        if binary is None:
            raise SystemExit(f"no Chromium: install one of {', '.join(NAMES)}")
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = f"exec {binary} --headless=new --no-sandbox --disable-gpu --hide-scrollbars --disable-dev-shm-usage "
        command += f"--remote-debugging-pipe --user-data-dir={self._profile.name} about:blank "
        command += f"3<&{theirs_in} 4>&{theirs_out}"
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._buffer:
                data = os.read(self._in, 1 << 20)
                if not data:
                    raise SystemExit("the browser ended")
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\0")
            yield json.loads(line)

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol; events on the way are kept."""
        number = next(self._numbers)
        request = {"id": number, "method": method, "params": given}
        if self._session is not None:
            request["sessionId"] = self._session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        for message in self._messages():
            if message.get("id") == number:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']}")
                return dict(message["result"])
            self.events.append(message)
        raise SystemExit("the browser ended")

    def value(self, script: str) -> Any:
        """What a script comes to, promises awaited."""
        done = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            return [f"a script failed: {done['exceptionDetails'].get('text')}"]
        return done["result"].get("value")

    def open(self, page: Path, size: tuple[int, int], *, dark: bool = False) -> list[str]:
        """Open a page; what is wrong with it."""
        width, height = size
        mobile = width < 600
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        self.events.clear()
        self.ask("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(next(self._messages()))
        self.value(READY)
        found = list(self.value(LOOK))
        return [*found, *filter(None, map(_complaint, self.events))]

    def screenshot(self, target: Path, longest: int = 6000) -> None:
        """A picture of the whole page, its first ``longest`` pixels."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        width, height = int(size["width"]), min(int(size["height"]), longest)
        # What lies outside the window is not drawn: the window becomes as high as the picture.
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.value("new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 100)))")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.ask("Page.captureScreenshot", format="png", clip=clip)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(base64.b64decode(shot["data"]))


def _complaint(event: dict[str, Any]) -> str | None:
    """What an event of the browser says is wrong."""
    given = event.get("params", {})
    match event.get("method"):
        case "Runtime.exceptionThrown":
            return f"exception: {given['exceptionDetails'].get('text')}"
        case "Log.entryAdded" if given["entry"]["level"] == "error":
            return f"console: {given['entry']['text']}"
        case "Runtime.consoleAPICalled" if given["type"] == "error":
            return f"console: {[item.get('value') for item in given['args']]}"
        case "Network.requestWillBeSent" if given["request"]["url"].startswith(("http:", "https:", "//")):
            return f"fetched from the network: {given['request']['url']}"
    return None


def check(pages: list[Path], *, dark: bool = False, screenshots: Path | None = None) -> list[str]:
    """Every complaint about every page at every width, one line each."""
    lines = []
    root = Path(os.path.commonpath([page.resolve().parent for page in pages]))
    with Browser() as browser:
        for page in pages:
            name = page.resolve().relative_to(root).with_suffix("").as_posix()
            for device, size in WIDTHS.items():
                lines += [f"{name} ({device}): {text}" for text in browser.open(page, size, dark=dark)[:12]]
                if screenshots is not None:
                    browser.screenshot(screenshots / f"{name.replace('/', '-')}-{device}{'-dark' if dark else ''}.png")
    return lines


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path, help="HTML files, or directories of them")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--if-present", action="store_true", help="without a Chromium say so and succeed")
    options = parser.parse_args(argv)
    if options.if_present and find() is None:
        print("no Chromium here: the pages were not opened")
        return 0
    pages = [
        page for given in options.pages for page in ([given] if given.is_file() else sorted(given.rglob("*.html")))
    ]
    lines = check(pages, dark=options.dark, screenshots=options.screenshots)
    print(*lines, sep="\n", end="\n" if lines else "")
    print(f"{len(pages)} pages at {len(WIDTHS)} widths, {len(lines)} complaints")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
