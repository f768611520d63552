"""REST APIs, and HTTP APIs with payload format 1.0: their events, answers and errors are those of API Gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tablestream.local.application import Running
from tablestream.local.cli.banner import about
from tablestream.local.cloud.cloud import Cloud

SOON = 30
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: python3.13, Timeout: 20, CodeUri: code/, Handler: app.main } }
Resources:
  Task:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        One: { Type: Api, Properties: { Path: "/things/{id}", Method: get } }
        Any: { Type: Api, Properties: { Path: "/rest/{proxy+}", Method: any } }
        Old: { Type: HttpApi, Properties: { Path: /old, Method: GET, PayloadFormatVersion: "1.0" } }
  Plain: { Type: AWS::ApiGateway::RestApi, Properties: { Name: plain } }
  Cups:
    Type: AWS::ApiGateway::Resource
    Properties: { RestApiId: !Ref Plain, ParentId: !GetAtt Plain.RootResourceId, PathPart: cups }
  Cup:
    Type: AWS::ApiGateway::Resource
    Properties: { RestApiId: !Ref Plain, ParentId: !Ref Cups, PathPart: "{name}" }
  GetCup:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Plain
      ResourceId: !Ref Cup
      HttpMethod: GET
      AuthorizationType: NONE
      Integration:
        Type: AWS_PROXY
        IntegrationHttpMethod: POST
        Uri: !Sub "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Task.Arn}/invocations"
  Deployment: { Type: AWS::ApiGateway::Deployment, DependsOn: GetCup, Properties: { RestApiId: !Ref Plain } }
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties: { RestApiId: !Ref Plain, DeploymentId: !Ref Deployment, StageName: live }
Outputs:
  Url: { Value: !Sub "https://${ServerlessRestApi}.execute-api.${AWS::Region}.amazonaws.com/Prod/things" }
"""
CODE = """
import json

def main(event, context):
    if event["path"].endswith("/broken"):
        raise ValueError("broken")
    if event["path"].endswith("/odd"):
        return {"no": "status"}
    told = {name: event.get(name) for name in event if name not in ("headers", "multiValueHeaders")}
    return {
        "statusCode": 201,
        "headers": {"X-One": 1},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": json.dumps(told),
    }
"""


class Served:
    """The running APIs."""

    def __init__(self, cloud: Cloud, running: Running, addresses: dict[str, Any]) -> None:
        self.cloud, self.running, self.addresses = cloud, running, addresses

    def ask(self, api: str, path: str, method: str = "GET", body: str | None = None) -> tuple[int, Any, Any]:
        connection = HTTPConnection(urlsplit(self.addresses[api].endpoint).netloc, timeout=SOON)
        try:
            connection.request(method, path, body, {"Content-Type": "text/plain"} if body else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("rest")
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "code").mkdir()
    (folder / "code" / "app.py").write_text(CODE)
    with ExitStack() as stack:
        cloud = stack.enter_context(Cloud(folder / "template.yaml"))
        running = stack.enter_context(Running(cloud, lambda _observation: None))
        addresses = stack.enter_context(running.apis(port=0))
        yield Served(cloud, running, {one.api: one for one in addresses})


def test_all_are_served_and_nothing_of_them_is_said_to_be_missing(served: Served) -> None:
    assert set(served.addresses) == {"ServerlessRestApi", "ServerlessHttpApi", "Plain"}
    assert served.cloud.notes == ()
    assert not any("ApiGateway" in one for one in served.cloud.differences)


def test_a_request_is_an_event_of_payload_format_1(served: Served) -> None:
    status, event, headers = served.ask("ServerlessRestApi", "/Prod/things/7?a=1&a=2&b=")
    assert status == 201
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/things/{id}", "/things/7", "GET")
    assert event["pathParameters"] == {"id": "7"}
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    context = event["requestContext"]
    assert (context["path"], context["stage"], context["resourcePath"]) == ("/Prod/things/7", "Prod", "/things/{id}")
    assert "version" not in event
    assert (headers["X-One"], headers.get_all("Set-Cookie")) == ("1", ["a=1", "b=2"])
    assert headers["Content-Type"] == "application/json"


def test_a_greedy_path_takes_any_method_and_a_body(served: Served) -> None:
    status, event, _ = served.ask("ServerlessRestApi", "/Prod/rest/a/b", "PUT", "text")
    assert (status, event["pathParameters"], event["body"]) == (201, {"proxy": "a/b"}, "text")
    assert event["queryStringParameters"] is None


@pytest.mark.parametrize("path", ["/Prod/nothing", "/nothing", "/Prod/things"])
def test_a_path_that_is_not_there_is_answered_as_api_gateway_does(served: Served, path: str) -> None:
    assert served.ask("ServerlessRestApi", path)[:2] == (403, {"message": "Missing Authentication Token"})


@pytest.mark.parametrize("path", ["/Prod/rest/broken", "/Prod/rest/odd"])
def test_a_function_that_fails_is_a_bad_gateway(served: Served, path: str) -> None:
    assert served.ask("ServerlessRestApi", path)[:2] == (502, {"message": "Internal server error"})


def test_a_rest_api_of_plain_cloudformation_is_served_too(served: Served) -> None:
    status, event, _ = served.ask("Plain", "/live/cups/blue")
    assert (status, event["resource"], event["pathParameters"]) == (201, "/cups/{name}", {"name": "blue"})


def test_an_http_api_may_ask_for_payload_format_1(served: Served) -> None:
    status, event, _ = served.ask("ServerlessHttpApi", "/old")
    assert (status, event["version"], event["path"]) == (201, "1.0", "/old")


def test_its_address_in_an_output_is_the_one_here(served: Served) -> None:
    told = about(served.cloud, served.running, list(served.addresses.values()), "http://127.0.0.1:1", None)
    assert told.outputs["Url"] == f"{served.addresses['ServerlessRestApi'].endpoint}/Prod/things"
