#!/usr/bin/env python3
"""Open report.html in headless Chromium as its readers do, and say what is wrong with it.

check_report.py REPORT.html... [--shots DIR]

At 390, 768 and 1440 pixels, in light and dark, and in print: nothing is wider than the page, no picture is empty, has no
label or cuts its text off, texts do not overlap or fall below 7 pixels (6 in print), every text has a contrast of 4.5:1 against its
paper, tables have captions and headers with scope, ids are unique, no script fails, nothing is loaded, and the file is
below 3 MB. Without script the page says the same. --shots DIR keeps screenshots and report.pdf there.

Exit code 1: something is wrong; 77: there is no Chromium. Talks to the browser by its debugging pipe, so that nothing
but Python's own library is needed.
"""
import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTHS = (390, 768, 1440)
PRINT_WIDTH = 688  # pixels of A4 within margins of 14 mm
MAX_BYTES = 3_000_000

LOOK = r"""
(() => {
const found = [], say = text => { if (!found.includes(text)) found.push(text) };
const name = e => (e.closest('section') || {}).id + ': ' + (e.textContent || '').trim().slice(0, 40);
const rgba = text => { const n = (text.match(/[\d.]+/g) || []).map(Number);
    return n.length < 3 ? [0, 0, 0, 0] : [n[0], n[1], n[2], n[3] ?? 1] };
const light = c => { const f = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]) };
const ratio = (a, b) => { const x = light(a), y = light(b); return (Math.max(x, y) + .05) / (Math.min(x, y) + .05) };
const paper = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] > .99) return c } return [255, 255, 255, 1] };
if (document.documentElement.scrollWidth > innerWidth)
    say(`the page is ${document.documentElement.scrollWidth} px wide`);
if (document.documentElement.lang !== 'en' || !document.title || !document.querySelector('meta[name=viewport]'))
    say('language, title or viewport is missing');
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) say('id twice: ' + id);
for (const a of document.querySelectorAll('a[href^="#"]'))
    if (!document.getElementById(a.getAttribute('href').slice(1))) say('link to nowhere: ' + a.textContent);
for (const e of document.querySelectorAll('main *')) {
    if (e.closest('.wide') || e.closest('svg') || e.closest('details:not([open])')) continue;
    const box = e.getBoundingClientRect();
    if (box.right > innerWidth + 1 && box.width) say(`wider than the page: ${e.tagName} ${name(e)}`);
}
for (const t of document.querySelectorAll('table')) {
    if (!t.caption || !t.caption.textContent.trim()) say('table without caption: ' + name(t));
    for (const h of t.querySelectorAll('th')) if (!['col', 'row'].includes(h.scope)) say('header without scope: ' + name(h));
    if (![...t.rows].every(r => r.cells.length === t.rows[0].cells.length)) say('cut table: ' + name(t));
    if (!t.closest('.wide')) say('table without a box: ' + name(t));
}
for (const i of document.querySelectorAll('img')) {
    if (!i.alt) say('image without text: ' + i.src.slice(0, 40));
    if (!i.naturalWidth) say('empty image: ' + i.alt);
}
let pictures = 0, marks = 0, smallest = 99;
for (const s of document.querySelectorAll('svg')) {
    const title = (s.getAttribute('aria-label') || '').trim(), box = s.getBoundingClientRect();
    if (s.closest('details:not([open])')) continue;
    pictures++;
    if (!title) say('picture without label: ' + name(s));
    if (!/\d/.test(title.replace(/^[^.]*\./, ''))) say('label without numbers: ' + title.slice(0, 60));
    if (!box.width || !box.height) say('empty picture: ' + title.slice(0, 60));
    const shapes = s.querySelectorAll('path,circle,polygon,rect,use,line').length;
    marks += shapes;
    if (shapes < 6) say('picture with nothing in it: ' + title.slice(0, 60));
    const texts = [...s.querySelectorAll('text')].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    texts.forEach((t, i) => {
        const b = boxes[i], px = parseFloat(getComputedStyle(t).fontSize) * box.width / s.viewBox.baseVal.width;
        smallest = Math.min(smallest, px);
        if (px < (matchMedia('print').matches ? 6 : 7)) say(`text of ${px.toFixed(1)} px: ${title.slice(0, 60)}`);
        if (b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1)
            say(`text cut off: "${t.textContent.trim()}" in ${title.slice(0, 60)}`);
        for (let k = 0; k < i; k++) {
            const o = boxes[k], w = Math.min(b.right, o.right) - Math.max(b.left, o.left),
                  h = Math.min(b.bottom, o.bottom) - Math.max(b.top, o.top);
            if (w > 1.5 && h > Math.min(b.height, o.height) * .35)
                say(`texts overlap: "${t.textContent.trim()}", "${texts[k].textContent.trim()}" in ${title.slice(0, 60)}`);
        }
        const c = ratio(rgba(getComputedStyle(t).fill), paper(s));
        if (c < 4.5) say(`contrast ${c.toFixed(2)} of "${t.textContent.trim()}" in ${title.slice(0, 60)}`);
    });
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || e.closest('svg,script,style')) continue;
    const c = ratio(rgba(getComputedStyle(e).color), paper(e));
    if (c < 4.5) say(`contrast ${c.toFixed(2)}: ${name(e)}`);
}
return {found, pictures, marks, smallest, text: document.querySelector('main').textContent.length,
        height: document.documentElement.scrollHeight};
})()
"""

SORT = r"""
(() => {
for (const t of document.querySelectorAll('table')) {
    if (t.tBodies[0].rows.length < 3) continue;
    const before = [...t.tBodies[0].rows], button = t.tHead.rows[0].cells[1].querySelector('button');
    if (!button) return 'no button';
    button.click(); button.click();
    const sorted = t.tHead.rows[0].cells[1].getAttribute('aria-sort');
    t.tBodies[0].append(...before);
    t.tHead.rows[0].cells[1].removeAttribute('aria-sort');
    return sorted === 'descending' && t.tBodies[0].rows.length === before.length ? '' : 'a click sorts nothing';
}
return '';
})()
"""


def find_browser() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if shutil.which(name):
            return name
    return None


class Browser:
    """Chromium over --remote-debugging-pipe: messages of JSON, each followed by a NUL, on descriptors 3 and 4."""

    def __init__(self, program: str, folder: str):
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()
        # 3 and 4 must be free of what the pipes got before they are set in the child
        script = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "-", program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--hide-scrollbars", f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.events, self.session = b"", 0, [], None

    def receive(self) -> dict:
        while b"\0" not in self.buffer:
            piece = os.read(self.read, 1 << 16)
            if not piece:
                raise RuntimeError("the browser ended")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method: str, **params) -> dict:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open_page(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def go(self, url: str):
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())

    def evaluate(self, script: str):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def complaints(self) -> list[str]:
        """Errors of scripts, what the policy refused, and what was loaded besides the page."""
        found, pages = [], 0
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append("script: " + params["exceptionDetails"]["text"])
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append("browser: " + params["entry"]["text"])
            elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
                pages += 1
                if pages > 1:
                    found.append("loads " + params["request"]["url"])
        return found

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (RuntimeError, OSError):
            pass
        self.process.wait()


def shoot(browser: Browser, path: Path | None, width: int, height: int):
    if path:
        # pieces of at most 1500 pixels, which a viewer can show
        for i, top in enumerate(range(0, height, 1500)):
            clip = {"x": 0, "y": top, "width": width, "height": min(1500, height - top), "scale": 1}
            shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
            path.with_name(f"{path.name}_{i:02}.png").write_bytes(base64.b64decode(shot["data"]))


def check(browser: Browser, report: Path, shots: Path | None) -> list[str]:
    found: dict[str, list[str]] = {}  # what, and where

    def add(where: str, what: list[str]):
        for text in what:
            if where not in found.setdefault(text, []):
                found[text].append(where)

    if report.stat().st_size > MAX_BYTES:
        add("file", [f"{report.stat().st_size} bytes"])
    url = report.resolve().as_uri()
    texts = set()
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            where = f"{width} px, {scheme}"
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.go(url)
            for folded in (True, False):
                if not folded:
                    browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
                seen = browser.evaluate(LOOK)
                add(where, seen["found"])
            add(where, browser.complaints())
            texts.add(seen["text"])
            shoot(browser, shots and shots / f"{width}_{scheme}", width, seen["height"])
    problem = browser.evaluate(SORT)
    add("sorting", [problem] if problem else [])
    print(f"{report}: {report.stat().st_size} bytes, {seen['pictures']} pictures with {seen['marks']} shapes, "
          f"smallest text {seen['smallest']:.1f} px at {width} px")

    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.go(url)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    texts.add(browser.evaluate("document.querySelector('main').textContent.length"))
    if len(texts) > 1:
        add("without script", [f"the page has another text: {sorted(texts)} characters"])

    browser.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.call("Emulation.setDeviceMetricsOverride", width=PRINT_WIDTH, height=900, deviceScaleFactor=1, mobile=False)
    browser.go(url)
    browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    wide = browser.evaluate("[...document.querySelectorAll('table,svg')].filter(t => t.getBoundingClientRect().right > "
                            "innerWidth + 1).map(t => 'wider than the paper: ' + t.closest('section').id)")
    add("print", browser.evaluate(LOOK)["found"] + wide)
    browser.call("Emulation.setEmulatedMedia", media="", features=[])
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.go(url)
    pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)["data"])
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    print(f"{report}: in print {pages} pages")
    if pages < 1:
        add("print", ["no page"])
    if shots:
        (shots / "report.pdf").write_bytes(pdf)
    return [f"{text} ({'; '.join(where)})" for text, where in found.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--shots", type=Path)
    args = parser.parse_args()
    program = find_browser()
    if not program:
        print("skipped: Chromium is not installed (Debian package chromium)")
        return 77
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(program, folder)
        try:
            browser.open_page()
            for report in args.reports:
                for line in check(browser, report, args.shots):
                    print(f"{report}: {line}")
                    wrong += 1
        finally:
            browser.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
