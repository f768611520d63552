"""`python -m tests.browser.pictures` (`make pictures`): pictures of the page for README.md and docs/local.md."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from tests.browser.chromium import NoChromiumError, chromium
from tests.support.local_shop import ROOT, LocalShop, local_shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = ROOT / "docs" / "pictures"


def main() -> int:
    """Let a shop run, use its page, and write the pictures; returns the exit status."""
    FOLDER.mkdir(exist_ok=True)
    try:
        with local_shop() as shop, chromium() as browser:
            for name, picture in (("page", _overview), ("page-narrow", _narrow)):
                _take(name, picture(browser, shop))
            page = _opened(browser, shop, 1280, 1080)
            _unfold(page)
            _take("page-invocation", page)
            page = _opened(browser, shop, 1280, 900)
            _practise(page)
            _take("page-outage", page, ".side")
    except NoChromiumError as error:
        sys.stderr.write(f"pictures: {error}\n")
        return 2
    return 0


def _take(name: str, page: Page, part: str | None = None) -> None:
    path = FOLDER / f"{name}.png"
    if part is None:
        page.screenshot(path=path)
    else:
        page.locator(part).screenshot(path=path)
    page.close()
    sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB\n")


def _opened(browser: Browser, shop: LocalShop, width: int, height: int) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.goto(shop.page)
    page.get_by_text("connected", exact=True).wait_for()
    page.get_by_role("button", name="Place it").wait_for()
    return page


def _order(page: Page, customer: str, product: str, quantity: int, *, poison: bool = False) -> None:
    page.get_by_label("Customer").fill(customer)
    page.get_by_label("Product").select_option(product)
    page.get_by_label("Quantity").fill(str(quantity))
    page.get_by_label("that no handler can take").set_checked(poison)
    page.get_by_role("button", name="Place it").click()
    page.wait_for_timeout(1500)


def _overview(browser: Browser, shop: LocalShop) -> Page:
    page = _opened(browser, shop, 1280, 800)
    _order(page, "ada", "tea", 2)
    _order(page, "bob", "pot", 3)
    _order(page, "cleo", "cup", 1, poison=True)
    page.locator("#letter-list summary").first.wait_for()
    return page


def _narrow(browser: Browser, shop: LocalShop) -> Page:
    page = _opened(browser, shop, 400, 860)
    page.locator("#line-list summary").first.wait_for()
    return page


def _unfold(page: Page) -> None:
    line = page.locator("#line-list > li").filter(has_text=re.compile("1 MODIFY ok")).first
    line.locator("summary").click()
    line.locator(".behind h3").first.wait_for()
    line.scroll_into_view_if_needed()


def _practise(page: Page) -> None:
    page.locator("#letter-list summary").first.click()
    page.locator("#letter-list table").first.wait_for()
    page.get_by_role("spinbutton", name="Calls").fill("3")
    page.get_by_role("button", name="Begin").click()
    page.locator("#faults li").wait_for()


if __name__ == "__main__":
    sys.exit(main())
