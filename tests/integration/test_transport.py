"""Requests arrive as botocore would have sent them, and what goes wrong is told as botocore tells it."""

from __future__ import annotations

import datetime as dt
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError, SSLError
from botocore.httpsession import create_urllib3_context
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shop.aws_errors import ErrorKind, kind_of
from shop.exchange import Connection
from shop.transport import Transport, still_open, written
from tests.integration.scripted_server import ScriptedServer, serving

KEY = {"pk": {"S": "USER#é"}, "sk": {"S": "ORDER#1"}}
NOTHING = b"{}"


def answer(body: bytes = NOTHING, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "x-amzn-RequestId: r-1", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refusal(code: str) -> bytes:
    return answer(b'{"__type": "com.amazonaws.dynamodb.v20120810#%s"}' % code.encode(), "400 Bad Request")


def dynamodb(url: str, *, attempts: int = 1, read_seconds: float = 5, connect_seconds: float = 5) -> Any:
    config = Config(
        retries={"total_max_attempts": attempts, "mode": "standard"},
        read_timeout=read_seconds,
        connect_timeout=connect_seconds,
    )
    session: Any = boto3.Session(region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="secret")
    return session.client("dynamodb", endpoint_url=url, config=config)


Make = Callable[..., Any]


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.close()


@pytest.fixture
def carried(transport: Transport) -> Make:
    """What makes a client whose requests the transport carries."""
    return lambda url, **settings: transport.carry(dynamodb(url, **settings))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_a_request_arrives_as_botocore_sends_it(carried: Make) -> None:
    received = []
    for make in (dynamodb, carried):
        with serving([answer()]) as server:
            make(server.url).get_item(TableName="orders", Key=KEY)
            received.append(_parsed(server))
    theirs, ours = received
    assert ours == theirs
    assert ours["body"]


def _parsed(server: ScriptedServer) -> dict[str, Any]:
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    assert headers["host"] == server.url.removeprefix("http://")
    assert "host;" in headers["authorization"]
    varying = {"host", "authorization", "x-amz-date", "amz-sdk-invocation-id"}
    return {"line": line, "body": body, **{name: value for name, value in headers.items() if name not in varying}}


def test_an_answer_is_read_by_botocore(carried: Make) -> None:
    body = b'{"Item": {"available": {"N": "3"}}}'
    with serving([answer(body)]) as server:
        found = carried(server.url).get_item(TableName="inventory", Key=KEY)
    assert found["Item"] == {"available": {"N": "3"}}
    assert found["ResponseMetadata"]["RequestId"] == "r-1"


def test_an_error_of_aws_is_raised_by_botocore(carried: Make) -> None:
    with serving([refusal("ResourceNotFoundException")]) as server, pytest.raises(ClientError) as raised:
        carried(server.url).get_item(TableName="inventory", Key=KEY)
    assert raised.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_botocore_retries(carried: Make) -> None:
    with serving([answer(status="500 Oh"), answer()]) as server:
        carried(server.url, attempts=2).get_item(TableName="inventory", Key=KEY)
    first, second = [request.partition(b"\r\n\r\n")[2] for request in server.requests]
    assert first == second


def test_calls_share_a_connection(transport: Transport) -> None:
    with serving([answer(), answer(), answer()]) as server:
        clients = [transport.carry(dynamodb(server.url)) for _ in range(2)]
        for client in (*clients, clients[0]):
            client.get_item(TableName="inventory", Key=KEY)
    assert (server.accepted, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("told", ["Connection: close", "X-Nothing: said"])
def test_a_connection_that_was_closed_is_not_used_again(told: str, carried: Make) -> None:
    with serving([answer(NOTHING, "200 OK", told)], [answer()]) as server:
        client = carried(server.url)
        client.get_item(TableName="inventory", Key=KEY)
        assert server.closed.wait(5)
        client.get_item(TableName="inventory", Key=KEY)
    assert server.accepted == 2


def test_a_connection_that_is_about_to_be_closed_is_not_used_again(carried: Make) -> None:
    with serving([answer(NOTHING, "200 OK", "Connection: close"), answer()], [answer()]) as server:
        client = carried(server.url)
        for _ in range(2):
            client.get_item(TableName="inventory", Key=KEY)
    assert server.accepted == 2


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://SNS.eu-west-1.amazonaws.com", "sns.eu-west-1.amazonaws.com"),
        ("https://aws.test:443/", "aws.test"),
        ("http://aws.test:443/", "aws.test:443"),
        ("http://somebody@[::1]:4566", "[::1]:4566"),
    ],
)
def test_the_host_is_the_one_that_botocore_signs(url: str, host: str) -> None:
    request = AWSRequest("POST", url)
    SigV4Auth(Credentials("id", "secret"), "sns", "eu-west-1").add_auth(request)
    assert host == SigV4Auth(Credentials("id", "secret"), "sns", "eu-west-1").headers_to_sign(request)["host"]
    assert f"\r\nHost: {host}\r\n".encode() in written(request.prepare(), urlsplit(url))


@pytest.mark.parametrize("value", [b"1\r\nY: 2", b"1\nY: 2", b"1\rY: 2"])
def test_a_header_cannot_smuggle_in_another(value: bytes) -> None:
    request = AWSRequest("POST", "http://aws.test/", {"X": value}).prepare()
    with pytest.raises(ValueError, match="line break"):
        written(request, urlsplit(request.url))


def test_the_path_and_the_query_are_asked_for_and_text_is_sent_as_utf8() -> None:
    request = AWSRequest("POST", "http://aws.test/a%20b?c=d", data="é").prepare()
    head, _, body = written(request, urlsplit(request.url)).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a%20b?c=d HTTP/1.1\r\n")
    assert body.decode() == "é"


def test_a_path_may_begin_with_two_slashes() -> None:
    request = AWSRequest("POST", "http://aws.test//a").prepare()
    assert written(request, urlsplit(request.url)).startswith(b"POST //a HTTP/1.1\r\n")


def test_to_carry_a_client_twice_sends_nothing_twice(transport: Transport) -> None:
    with serving([answer(), answer()]) as server:
        transport.carry(transport.carry(dynamodb(server.url))).get_item(TableName="inventory", Key=KEY)
    assert len(server.requests) == 1


def test_one_dead_connection_is_a_sign_for_the_others(transport: Transport) -> None:
    # As after a thaw, behind something that drops connections without a word: both are dead, and one call finds out.
    with falling_silent(connections=2) as url:
        client = transport.carry(dynamodb(url, read_seconds=0.2))
        calls = [threading.Thread(target=client.get_item, kwargs={"TableName": "t", "Key": KEY}) for _ in range(2)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        with pytest.raises(ReadTimeoutError):
            client.get_item(TableName="inventory", Key=KEY)
        client.get_item(TableName="inventory", Key=KEY)


@contextmanager
def falling_silent(connections: int) -> Iterator[str]:
    """Answer once on each of the first connections, all of them at the same time, and always on later ones."""
    together = threading.Barrier(connections)
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as accepted:

        def serve() -> None:
            with suppress(OSError):
                for place in itertools.count():
                    connection = accepted.enter_context(listener.accept()[0])
                    threading.Thread(target=play, args=(connection, place < connections), daemon=True).start()

        def play(connection: socket.socket, early: bool) -> None:
            with suppress(OSError):
                while connection.recv(65_536):
                    if early:
                        together.wait(5)
                    connection.sendall(answer())
                    if early:
                        return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Contended(list[Connection]):
    """A list of which another thread takes the last one as soon as somebody has looked."""

    def __bool__(self) -> bool:
        there = len(self) > 0
        if there:
            self.pop()
        return there


def test_a_connection_that_another_thread_takes_first_is_not_missed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours)
        assert still_open(Contended([connection])) is connection


def test_certificates_are_read_once_however_many_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []

    def slowly() -> ssl.SSLContext:
        made.append(create_urllib3_context())
        time.sleep(0.05)  # the others come meanwhile
        return made[-1]

    monkeypatch.setattr("shop.transport.create_urllib3_context", slowly)
    transport = Transport()
    clients = [dynamodb("https://localhost:1") for _ in range(4)]
    threads = [threading.Thread(target=transport.carry, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert made[0].check_hostname
    assert made[0].verify_mode is ssl.CERT_REQUIRED


def unreachable(make: Make) -> None:
    with serving() as server:
        url = server.url
    make(url).get_item(TableName="inventory", Key=KEY)


def unknown_host(make: Make) -> None:
    make("http://nowhere.invalid").get_item(TableName="inventory", Key=KEY)


def silent(make: Make) -> None:
    with serving([None]) as server:
        make(server.url, read_seconds=0.05).get_item(TableName="inventory", Key=KEY)


def closing(make: Make) -> None:
    with serving([b""]) as server:
        make(server.url).get_item(TableName="inventory", Key=KEY)


def babbling(make: Make) -> None:
    with serving([b"220 smtp ready\r\n"]) as server:
        make(server.url).get_item(TableName="inventory", Key=KEY)


def mute_tls(make: Make) -> None:
    with serving([answer()]) as server:
        make(server.url.replace("http:", "https:"), connect_seconds=0.1).get_item(TableName="inventory", Key=KEY)


def not_tls(make: Make) -> None:
    with serving([b"HTTP/1.1 400 This is no TLS\r\n\r\n"], until=b"") as server:
        make(server.url.replace("http:", "https:")).get_item(TableName="inventory", Key=KEY)


@pytest.mark.parametrize("trouble", [unreachable, unknown_host, silent, closing, babbling, mute_tls, not_tls])
def test_trouble_is_told_as_botocore_tells_it(trouble: Callable[[Make], None], carried: Make) -> None:
    raised = []
    for make in (dynamodb, carried):
        with pytest.raises(BotoCoreError) as caught:
            trouble(make)
        raised.append(caught.value)
    theirs, ours = raised
    assert type(ours) is type(theirs)
    assert kind_of(ours) is kind_of(theirs) is ErrorKind.AMBIGUOUS


def test_tls_trusts_the_bundle_it_is_given_and_no_other(tmp_path: Path, carried: Make) -> None:
    bundle, context = _certificate(tmp_path)
    trusting = Transport(str(bundle))
    with serving([answer()], tls=context) as server:
        trusting.carry(dynamodb(server.url)).get_item(TableName="inventory", Key=KEY)
    trusting.close()
    with serving([answer()], tls=context) as server, pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        carried(server.url).get_item(TableName="inventory", Key=KEY)


def test_tls_wants_the_name_of_the_host(tmp_path: Path) -> None:
    bundle, context = _certificate(tmp_path)
    with serving([answer()], tls=context) as server:
        client = Transport(str(bundle)).carry(dynamodb(server.url.replace("localhost", "127.0.0.1")))
        with pytest.raises(SSLError, match="IP address mismatch"):
            client.get_item(TableName="inventory", Key=KEY)


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return pem, context


def test_a_client_behind_a_proxy_is_left_to_botocore(monkeypatch: pytest.MonkeyPatch, carried: Make) -> None:
    with serving([answer()]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        carried("http://aws.invalid").get_item(TableName="inventory", Key=KEY)
    assert proxy.requests[0].startswith(b"POST http://aws.invalid/")
