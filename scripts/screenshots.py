"""Take the pictures of the documents from a running muster: `python -m scripts.screenshots URL`.

Needs Chromium and playwright. The token is read from a file, so that it stands in no command line;
without one the server must let the browser in by itself.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"1440": (1440, 900), "390": (390, 844)}
THEMES = ("dark", "light")


def sign_in(page: Page, url: str, token: str) -> None:
    """Come in by the link that `muster open` makes."""
    if token:
        page.goto(f"{url}/login#{token}")
        page.wait_for_url(lambda address: "/login" not in address)


def places(page: Page, url: str, task: str) -> dict[str, str]:
    """The pages to take, by name; the task is the one that is named, else one with a decision."""
    page.goto(f"{url}/")
    if not task:
        links = page.locator(".ask h3 a, .card h3 a, a.row")
        task = (links.first.get_attribute("href") or "") if links.count() else ""
    else:
        task = f"/tasks/{task}"
    found = {"board": "/", "inbox": "/inbox"}
    if task:
        found |= {"task": task, "diff": f"{task}?tab=diff", "checks": f"{task}?tab=checks"}
    return found


def take(browser: Browser, given: argparse.Namespace, token: str) -> None:
    """One picture of each page, in both themes, at each width."""
    for theme in THEMES:
        for width, (x, y) in WIDTHS.items():
            context = browser.new_context(
                viewport={"width": x, "height": y},
                color_scheme=theme,  # type: ignore[arg-type]
                device_scale_factor=1 if x > 500 else 2,
            )
            page = context.new_page()
            sign_in(page, given.url, token)
            for name, path in places(page, given.url, given.task).items():
                page.goto(f"{given.url}{path}")
                page.wait_for_selector("#live.up", state="attached")
                page.evaluate("document.fonts.ready")
                target = given.folder / f"{name}-{theme}-{width}.png"
                page.screenshot(path=target, full_page=given.full)
                print(target)
            context.close()


def main() -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where muster runs, for example http://127.0.0.1:3020")
    parser.add_argument("--token-file", type=Path, help="the file 'token' of muster's home")
    parser.add_argument("--task", default="", help="the task to show; else the first on the board")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--full", action="store_true", help="whole pages instead of one screen")
    given = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("screenshots: no chromium on PATH; to get it: scripts/ci-setup chromium")
    given.url = given.url.rstrip("/")
    given.folder.mkdir(parents=True, exist_ok=True)
    token = given.token_file.read_text().strip() if given.token_file else ""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        take(browser, given, token)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
