"""The page in Chromium, over the shop as `make local` runs it: by mouse, by keyboard, and on a narrow screen."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.local_shop import LocalShop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PATIENT = 60_000  # milliseconds: a busy machine takes its time
FOCUSED = "document.activeElement.id || document.activeElement.name || document.activeElement.tagName"
ASKED = "async ([url, init]) => { try { return (await fetch(url, init)).status } catch (error) { return error.name } }"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 800}


@pytest.fixture
def page(chromium: Browser, shop: LocalShop) -> Iterator[Page]:
    """The page with its token; whatever its script complains of fails the test."""
    opened = chromium.new_page(viewport=WIDE)
    opened.set_default_timeout(PATIENT)
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.goto(shop.page)
    opened.get_by_text("connected", exact=True).wait_for()
    opened.get_by_role("button", name="Place it").wait_for()
    yield opened
    opened.close()
    assert troubles == []


def place(page: Page, customer: str, *, poison: bool = False) -> None:
    page.get_by_label("Customer").fill(customer)
    page.get_by_label("that no handler can take").set_checked(poison)
    page.get_by_role("button", name="Place it").click()
    page.locator("#told").filter(has_text="placed").wait_for()


def lines(page: Page, text: str) -> Locator:
    return page.locator("#line-list > li").filter(has_text=text)


def customer() -> str:
    return f"c{uuid.uuid4().hex[:8]}"


def test_an_order_of_the_form_is_seen_on_its_whole_way(page: Page) -> None:
    name = customer()
    place(page, name)
    lines(page, f"POST /users/{name}/orders 202").wait_for()
    lines(page, "1 INSERT ok").first.wait_for()
    lines(page, "order.confirmed").first.wait_for()
    page.get_by_role("row").filter(has_text="WorkerStream").filter(has_text="idle").wait_for()


def test_an_invocation_unfolds_into_its_records_its_answer_and_what_it_led_to(page: Page) -> None:
    place(page, customer())
    line = lines(page, "1 MODIFY ok").first
    line.locator("summary").click()
    behind = line.locator(".behind")
    behind.get_by_role("heading", name=re.compile(r"^MODIFY \d+")).wait_for()
    status = behind.get_by_role("row").filter(has=behind.page.get_by_role("rowheader", name="status", exact=True))
    assert (status.locator("del").inner_text(), status.locator("ins").inner_text()) == ("pending", "confirmed")
    assert behind.locator("pre").first.inner_text() == '{"batchItemFailures":[]}'
    assert "order.confirmed" in behind.get_by_role("list").inner_text()


def test_while_a_line_is_open_the_list_waits_and_then_goes_on(page: Page) -> None:
    place(page, customer())
    opened = lines(page, "1 INSERT ok").first
    opened.wait_for()
    opened.locator("summary").click()
    name = customer()
    place(page, name)
    page.get_by_text("wait until the list goes on").wait_for()
    assert lines(page, name).count() == 0
    page.locator("#line-list details[open] > summary").click()
    lines(page, f"/users/{name}/").first.wait_for()


def test_lines_can_be_chosen_by_their_words(page: Page) -> None:
    name = customer()
    place(page, name)
    lines(page, f"/users/{name}/").wait_for()
    page.get_by_label("Only lines with").fill(name)
    shown = page.locator("#line-list > li:visible")
    assert [name in text for text in shown.all_inner_texts()] == [True]


def test_a_table_shows_the_item_that_was_written(page: Page) -> None:
    name = customer()
    place(page, name)
    item = page.locator("#item-list details").filter(has_text=f"USER#{name}")
    item.first.wait_for()
    item.first.locator("summary").click()
    assert f'"customerId": "{name}"' in item.first.locator("pre").inner_text()


def test_a_dead_letter_has_its_payload_and_a_redrive_tells_what_came_of_it(page: Page) -> None:
    name = customer()
    place(page, name, poison=True)
    lines(page, f"USER#{name}").filter(has_text="dead letter").first.wait_for()
    with page.expect_response(re.compile("/letters$")):
        page.locator("#refresh").click()
    page.wait_for_timeout(500)  # until the list is drawn: the latest is the first
    letter = page.locator("#letter-list details").first
    letter.locator("summary").click()
    letter.get_by_role("row").filter(has_text=name).first.wait_for()
    letter.get_by_role("button", name=re.compile("^Redrive ")).click()
    page.locator("#told").filter(has_text="poison again").wait_for()


def test_an_outage_begins_is_told_and_ends(page: Page) -> None:
    page.locator("#fault [name=kind]").select_option(label="a service is out")
    page.locator("#fault [name=service]").select_option("sns")
    page.get_by_role("button", name="Begin").click()
    page.locator("#faults").filter(has_text="ServiceUnavailable for sns").wait_for()
    page.get_by_role("button", name="End all").click()
    page.locator("#told").filter(has_text="all are over").wait_for()
    page.locator("#faults").filter(has_not_text="sns").wait_for(state="attached")


def test_a_mapping_is_stopped_and_started(page: Page) -> None:
    page.get_by_role("button", name="Disable WorkerStream").click()
    page.get_by_role("button", name="Enable WorkerStream").click()
    page.get_by_role("button", name="Disable WorkerStream").wait_for()


def test_all_of_it_is_reached_and_done_by_keyboard(page: Page) -> None:
    place(page, customer())
    page.reload()
    lines(page, "1 INSERT ok").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To what happens"
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.id || document.activeElement.name || document.activeElement.tagName")
        )
    assert reached >= {
        "pause",
        "filter",
        "SUMMARY",
        "product",
        "quantity",
        "customer",
        "table",
        "refresh",
        "kind",
        "clear",
    }
    page.locator("#line-list summary").first.focus()
    page.keyboard.press("Enter")
    page.locator("#line-list details[open] .behind h3").first.wait_for()
    page.get_by_label("Quantity").focus()
    page.keyboard.press("Enter")
    page.locator("#told").filter(has_text="placed").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_no_fault(page: Page, viewport: dict[str, int], scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme=scheme)
    place(page, customer(), poison=True)
    page.locator("#letter-list summary").first.click()
    lines(page, "1 INSERT ok").first.locator("summary").click()
    page.locator("#line-list .behind h3").first.wait_for()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_on_a_narrow_screen_nothing_is_cut_off(page: Page) -> None:
    page.set_viewport_size(NARROW)
    place(page, customer(), poison=True)
    lines(page, "1 INSERT ok").first.locator("summary").click()
    page.locator("#line-list .behind h3").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_without_the_token_one_may_look_and_change_nothing(chromium: Browser, shop: LocalShop) -> None:
    page = chromium.new_page()
    page.set_default_timeout(PATIENT)
    page.goto(shop.page.partition("#")[0])
    page.get_by_text("Read only: to change something").wait_for()
    for name in ("Begin", "End all", "Place it", "Disable WorkerStream"):
        assert page.get_by_role("button", name=name).is_disabled()
    assert page.get_by_role("button", name="Pause").is_enabled()
    page.close()


def test_the_address_of_a_start_is_taken_by_a_tab_that_is_open(chromium: Browser, shop: LocalShop) -> None:
    page = chromium.new_page()
    page.set_default_timeout(PATIENT)
    address, _, token = shop.page.partition("#")
    page.goto(address)
    page.get_by_text("Read only: to change something").wait_for()
    page.evaluate("token => { location.hash = token }", token)
    page.locator("button:enabled").filter(has_text="Place it").wait_for()
    page.locator("button:enabled").filter(has_text="Disable").wait_for()
    page.close()


def test_the_token_leaves_the_address_and_stays_over_a_reload(page: Page) -> None:
    assert "#" not in page.url
    page.reload()
    assert page.get_by_role("button", name="Place it").is_enabled()


def test_a_page_of_another_origin_can_neither_read_nor_write(chromium: Browser, shop: LocalShop, page: Page) -> None:
    elsewhere = chromium.new_page()
    elsewhere.goto(f"{shop.api}/openapi.json")  # another port of this machine is another origin
    target = shop.page.partition("#")[0]
    for path in ("about", "events", "tables", "letters"):
        assert elsewhere.evaluate(ASKED, [f"{target}{path}", {}]) == "TypeError"
    for kind in ("text/plain", "application/json"):
        init = {"method": "POST", "body": '{"enabled": false}', "headers": {"Content-Type": kind}}
        assert elsewhere.evaluate(ASKED, [f"{target}commands/mapping", init]) == "TypeError"
    elsewhere.close()
    page.get_by_role("button", name="Disable WorkerStream").wait_for()
