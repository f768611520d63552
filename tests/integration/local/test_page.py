"""The page as a browser asks for it: what it may read, what takes the token, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from tablestream.local.cli.control import TEXT, Command
from tablestream.local.cli.page.contents import ITEMS, Contents
from tablestream.local.cli.page.server import MOST_STREAMS, TOKEN_HEADER, Field, Form, PageServer, Stage, redriving
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.cloud.server import Server
from tablestream.local.errors import UsageError
from tests.support.fed_timeline import FedTimeline

Json = Any
FORM = Form(
    "greet",
    "A greeting",
    "Greet",
    (Field("name", "Name"),),
    Command(lambda asked: f"hi {asked['name']}", {"name": TEXT}),
)


@pytest.fixture(scope="module")
def aws() -> Iterator[CloudClients]:
    server = Server()
    clients = CloudClients(server.endpoint)
    clients.get("dynamodb").create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "B"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    clients.get("s3").create_bucket(Bucket="failures")
    yield clients
    server.close()


class Browser:
    """A page over a timeline, and a client of it."""

    def __init__(self, clients: CloudClients) -> None:
        self.fed = FedTimeline()
        self.asked: list[Mapping[str, Json]] = []
        state = {"shards": [], "latency": "none", "mappings": {"M": True}, "faults": []}
        stage = Stage("a-stack", "http://127.0.0.1:1", ["Fn"], [FORM], lambda: state)
        self.letters: list[str] = []
        stored = Contents(clients.get, lambda: self.letters)
        self.page = PageServer(stage, self.fed.timeline, stored, {"mapping": Command(self._mapping, {"name": TEXT})})
        self.serving, self.note = self.page.serving(0)
        self.client = Client(self.page.app)

    def _mapping(self, asked: Mapping[str, Json]) -> str:
        self.asked.append(asked)
        return "done"

    def get(self, path: str) -> Json:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text)

    def command(self, name: str, given: Json, token: str | None = None) -> TestResponse:
        headers = {TOKEN_HEADER: self.page.token if token is None else token}
        return self.client.post(f"/commands/{name}", json=given, headers=headers)


@pytest.fixture
def browser(aws: CloudClients) -> Iterator[Browser]:
    made = Browser(aws)
    with made.serving:
        yield made


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")]
)
def test_its_files_are_served_and_let_nothing_else_in(browser: Browser, path: str, kind: str) -> None:
    answer = browser.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert browser.page.token not in answer.text


def test_it_tells_what_it_is_about(browser: Browser) -> None:
    about = browser.get("/about")
    assert (about["stack"], about["functions"]) == ("a-stack", ["Fn"])
    assert [form["name"] for form in about["forms"]] == ["greet"]
    assert about["forms"][0]["fields"] == [
        {"name": "name", "label": "Name", "kind": "text", "value": "", "choices": []}
    ]


def _messages(answer: TestResponse) -> Iterator[Json]:
    for chunk in answer.response:
        text = chunk.decode() if isinstance(chunk, bytes) else chunk
        yield json.loads(text.split("data: ", 1)[1])


def test_what_happens_comes_as_messages_with_the_state(browser: Browser) -> None:
    browser.fed.deliver()
    answer = browser.client.get("/events")
    assert answer.mimetype == "text/event-stream"
    messages = _messages(answer)
    first = next(messages)
    assert [line["what"] for line in first["lines"]] == ["#1: 1 INSERT"]
    assert first["state"]["mappings"] == {"M": True}
    browser.fed.deliver()
    assert [line["number"] for line in next(messages)["lines"]] == [2]
    answer.close()


@pytest.mark.parametrize(
    ("after", "numbers"), [("RUN:1", [2]), ("RUN:0", [1, 2]), ("RUN:99", [1, 2]), ("other:1", [1, 2]), ("x", [1, 2])]
)
def test_a_page_that_connects_again_gets_what_it_has_not(browser: Browser, after: str, numbers: list[int]) -> None:
    browser.fed.deliver()
    browser.fed.deliver()
    run = browser.get("/about")["run"]
    answer = browser.client.get("/events", headers={"Last-Event-ID": after.replace("RUN", run)})
    assert [line["number"] for line in next(_messages(answer))["lines"]] == numbers
    answer.close()


def test_the_messages_end_with_the_stack(browser: Browser) -> None:
    answer = browser.client.get("/events")
    messages = _messages(answer)
    next(messages)
    browser.fed.timeline.close()
    assert len(list(messages)) <= 1
    answer.close()


def test_so_many_pages_may_be_open_and_a_closed_one_makes_room(browser: Browser) -> None:
    answers = [browser.client.get("/events") for _ in range(MOST_STREAMS)]
    assert browser.client.get("/events").status_code == 503
    answers.pop().close()
    last = browser.client.get("/events")
    assert last.status_code == 200
    for answer in [*answers, last]:
        answer.close()


def test_an_invocation_is_unfolded_as_long_as_it_is_kept(browser: Browser) -> None:
    browser.fed.deliver()
    [number] = [line.number for line in browser.fed.timeline.since(0)]
    assert [record["eventName"] for record in browser.get(f"/invocations/{number}")["records"]] == ["INSERT"]
    gone = browser.client.get("/invocations/99")
    assert (gone.status_code, "only the latest" in gone.text) == (404, True)


def test_tables_have_their_items_page_by_page(browser: Browser, aws: CloudClients) -> None:
    for number in range(ITEMS + 2):
        aws.get("dynamodb").put_item(TableName="Things", Item={"id": {"B": bytes([number])}})
    assert browser.get("/tables") == [{"name": "Things", "items": ITEMS + 2, "stream": "NEW_IMAGE"}]
    first = browser.get("/tables/Things")
    assert (first["keys"], first["stream"]) == (["id"], "NEW_IMAGE")
    answer = browser.client.get("/tables/Things", query_string={"start": json.dumps(first["next"])})
    rest = json.loads(answer.text)
    ids = [item["id"]["B"] for item in first["items"] + rest["items"]]
    assert (len(first["items"]), len(set(ids)), rest["next"]) == (ITEMS, ITEMS + 2, None)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/tables/Nothing", "there is no table Nothing"),
        ("/tables/Things?start=tea", "start is 'tea': wanted a key"),
        ('/tables/Things?start={"no": {"S": "key"}}', "Things: "),
        ('/tables/Things?start={"id": 5}', "start is "),
        ('/tables/Things?start={"id": []}', "Things: "),
        ("/nothing", "/nothing: Not Found"),
    ],
)
def test_what_is_not_there_is_said(browser: Browser, path: str, words: str) -> None:
    answer = browser.client.get(path)
    assert answer.status_code == 404
    assert json.loads(answer.text)["error"].startswith(words)


def test_dead_letters_have_their_records_and_those_that_are_gone_are_left_out(
    browser: Browser, aws: CloudClients
) -> None:
    stored = {
        "letter": {"record": {"eventName": "INSERT"}, "reason": "no quantity", "handler": "orders"},
        "given-up": {
            "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3},
            "payload": {"Records": [{"eventName": "MODIFY"}, {"eventName": "REMOVE"}]},
        },
        "list": [],
    }
    for key, content in stored.items():
        aws.get("s3").put_object(Bucket="failures", Key=f"x/{key}", Body=json.dumps(content).encode())
    browser.letters = [f"failures/x/{key}" for key in (*stored, "gone")]
    assert [(one["key"], one["reason"]) for one in browser.get("/letters")] == [
        ("x/letter", "no quantity (in orders)"),
        ("x/given-up", "RetryAttemptsExhausted after 3 attempts"),
    ]
    records = [browser.get(f"/letters/failures/x/{key}") for key in ("letter", "given-up")]
    assert [[record["eventName"] for record in one] for one in records] == [["INSERT"], ["MODIFY", "REMOVE"]]
    assert browser.client.get("/letters/failures/x/gone").status_code == 404


def test_a_dead_letter_that_is_written_over_has_its_new_reason(browser: Browser, aws: CloudClients) -> None:
    browser.letters = ["failures/y"]
    for reason in ("first", "second"):
        body = json.dumps({"record": {}, "reason": reason}).encode()
        aws.get("s3").put_object(Bucket="failures", Key="y", Body=body)
        assert [one["reason"] for one in browser.get("/letters")] == [reason]
    aws.get("s3").delete_object(Bucket="failures", Key="y")
    assert browser.get("/letters") == []


def test_with_the_token_commands_and_forms_are_carried_out(browser: Browser) -> None:
    done = browser.command("mapping", {"name": "M"})
    assert (done.status_code, json.loads(done.text), browser.asked) == (200, "done", [{"name": "M"}])
    assert json.loads(browser.command("greet", {"name": "ada"}).text) == "hi ada"
    wrong = browser.command("mapping", {"nome": "M"})
    assert (wrong.status_code, "wanted no arguments but name" in wrong.text) == (400, True)


@pytest.mark.parametrize("token", ["", "x", "é"])
def test_without_the_token_nothing_is_changed(browser: Browser, token: str) -> None:
    refused = browser.command("mapping", {"name": "M"}, token.encode().decode("latin-1"))
    assert (refused.status_code, "open the address that was printed at its start" in refused.text) == (403, True)
    assert browser.client.get("/commands/mapping", headers={TOKEN_HEADER: browser.page.token}).status_code == 405
    assert browser.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/about", "/events", "/tables", "/letters", "/commands/mapping"])
def test_a_page_from_elsewhere_is_refused_whatever_it_asks_for(
    browser: Browser, headers: dict[str, str], path: str
) -> None:
    connection = HTTPConnection("127.0.0.1", browser.serving.port, timeout=20)
    method = "POST" if path.startswith("/commands") else "GET"
    connection.request(
        method, path, "{}", {TOKEN_HEADER: browser.page.token, "Content-Type": "application/json", **headers}
    )
    answer = connection.getresponse()
    assert (answer.status, b"refused: " in answer.read()) == (403, True)
    connection.close()
    assert browser.asked == []


def test_its_own_page_is_served(browser: Browser) -> None:
    for host in ("127.0.0.1", "localhost"):
        connection = HTTPConnection("127.0.0.1", browser.serving.port, timeout=20)
        own = f"{host}:{browser.serving.port}"
        connection.request("GET", "/about", headers={"Host": own, "Origin": f"http://{own}"})
        assert connection.getresponse().status == 200
        connection.close()


def test_a_port_that_is_taken_is_said_where_it_was_asked_for(browser: Browser) -> None:
    with pytest.raises(UsageError, match=f"port {browser.serving.port} for the page cannot be listened on"):
        browser.page.serving(browser.serving.port)


def test_where_the_usual_port_is_taken_another_is_and_that_is_said(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tablestream.local.cli.page.server.PORT", browser.serving.port)
    serving, note = browser.page.serving(None)
    assert note == f"port {browser.serving.port} is taken, so the page has another; --page-port N chooses"
    with serving:
        assert serving.port != browser.serving.port


def test_a_redrive_tells_what_the_tool_tells(aws: CloudClients) -> None:
    variables = {
        "AWS_ENDPOINT_URL": aws.get("s3").meta.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    redrive = redriving("a-stack", variables, ["Fn"])
    with pytest.raises(UsageError, match="Function not found"):
        redrive.carry_out({"bucket": "failures", "key": "elsewhere/x"})
    with pytest.raises(UsageError, match="wanted an object's key"):
        redrive.carry_out({"bucket": "failures", "key": "--all"})
