"""HTTP APIs of any template: found, served at ports of this machine, and what of them is not served, by name."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tablestream.local.application import Options, Running, hurried
from tablestream.local.cli.banner import about
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.translate import translate
from tablestream.local.errors import UsageError
from tablestream.local.gateway.gateway import Address
from tablestream.local.trigger.observations import Ended, Observation, RequestServed
from tests.support.streamed_table import THINGS

SOON = 20  # seconds no condition here ever needs; only a failing test waits for so long

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: { Runtime: python3.13, Timeout: 20, CodeUri: code/, Environment: { Variables: { TABLE: !Ref Things } } }
Conditions: { Never: !Equals [a, b] }
Outputs:
  Url: { Value: !Sub "https://${Public}.execute-api.${AWS::Region}.${AWS::URLSuffix}/things" }
  Endpoint: { Value: !GetAtt Plain.ApiEndpoint }
Resources:
  Public:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth: { EnableIamAuthorizer: true, DefaultAuthorizer: AWS_IAM }
      CorsConfiguration: { AllowOrigins: ["https://a.example"], AllowMethods: [GET] }
  Versioned:
    Type: AWS::Serverless::HttpApi
    Properties: { StageName: v1 }
  Things2Api:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.api
      AutoPublishAlias: live
      Events:
        Put: { Type: HttpApi, Properties: { ApiId: !Ref Public, Path: "/things/{id}", Method: PUT } }
        Old: { Type: HttpApi, Properties: { ApiId: !Ref Public, Path: /old, Method: GET, PayloadFormatVersion: "1.0" } }
        Any: { Type: HttpApi, Properties: { ApiId: !Ref Versioned, Path: "/{proxy+}", Method: ANY } }
  Follow:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.follow
      Events:
        Stream: { Type: DynamoDB, Properties: { Stream: !GetAtt Things.StreamArn, StartingPosition: TRIM_HORIZON } }
  Plain:
    Type: AWS::ApiGatewayV2::Api
    Properties: { Name: plain, ProtocolType: HTTP }
  PlainIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Plain
      IntegrationType: AWS_PROXY
      IntegrationUri: !GetAtt Follow.Arn
      PayloadFormatVersion: "2.0"
  PlainRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Plain, RouteKey: GET /count, Target: !Sub "integrations/${PlainIntegration}" }
  Missing:
    Type: AWS::Serverless::HttpApi
    Condition: Never
    Properties: { StageName: x }
"""
TEMPLATE += THINGS
CODE = """
import json, os
import boto3

def api(event, context):
    if event["routeKey"].startswith("ANY"):
        return {"path": event["rawPath"], "parameters": event["pathParameters"], "as": context.invoked_function_arn}
    client = boto3.client("dynamodb")
    client.put_item(TableName=os.environ["TABLE"], Item={"id": {"S": event["pathParameters"]["id"]}})
    client.put_item(TableName=os.environ["TABLE"], Item={"id": {"S": event["pathParameters"]["id"]}})
    return {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": event["body"]}

def follow(event, context):
    return len(event.get("Records", ())) or {"statusCode": 200, "body": "none"}
"""


@dataclass
class Application:
    cloud: Cloud
    running: Running
    addresses: dict[str, Address]
    seen: list[Observation]

    def ask(
        self, api: str, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(urlsplit(self.addresses[api].endpoint).netloc, timeout=SOON)
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text, dict(answer.headers)
        finally:
            connection.close()


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("apis")
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "code").mkdir()
    (folder / "code" / "app.py").write_text(CODE)
    with ExitStack() as stack:
        seen: list[Observation] = []
        cloud = stack.enter_context(Cloud(folder / "template.yaml"))
        options = Options(poll_interval=0.02, settings=hurried)
        running = stack.enter_context(Running(cloud, seen.append, options))
        addresses = stack.enter_context(running.apis(port=0))
        yield Application(cloud, running, {one.api: one for one in addresses}, seen)


def test_each_api_with_a_route_to_a_function_is_served(application: Application) -> None:
    assert {name: one.prefix for name, one in application.addresses.items()} == {
        "Public": "",
        "Versioned": "/v1",
        "Plain": "",
    }


def test_a_request_reaches_the_function_and_is_observed_with_its_changes(application: Application) -> None:
    status, body, _ = application.ask("Public", "/things/a%20b", "PUT", '{"a": 1}', Content_Type="application/json")
    assert (status, body) == (201, {"a": 1})
    served = [one for one in application.seen if isinstance(one, RequestServed) and one.method == "PUT"]
    assert [(one.api, one.path, one.status, dict(one.changes)) for one in served] == [
        ("Public", "/things/a%20b", 201, {"INSERT": 1}),
    ]
    assert application.running.settle(SOON)
    assert [one.mapping for one in application.seen if isinstance(one, Ended)] == ["FollowStream"]


def test_a_stage_is_in_the_path_and_an_alias_is_what_is_invoked(application: Application) -> None:
    status, body, _ = application.ask("Versioned", "/v1/x/y", "DELETE")
    assert (status, body["path"], body["parameters"]) == (200, "/v1/x/y", {"proxy": "x/y"})
    assert body["as"].endswith(":live")


def test_an_api_of_plain_cloudformation_is_served_too(application: Application) -> None:
    assert application.ask("Plain", "/count")[:2] == (200, "none")


def test_what_has_no_route_is_answered_as_api_gateway_does(application: Application) -> None:
    assert application.ask("Public", "/things/1", "POST")[:2] == (404, {"message": "Not Found"})
    assert application.ask("Versioned", "/x")[0] == 404


def test_a_page_that_cors_does_not_name_is_refused(application: Application) -> None:
    assert application.ask("Public", "/nothing", Origin="https://b.example")[0] == 403
    status, _, headers = application.ask("Public", "/nothing", Origin="https://a.example")
    assert (status, headers["Access-Control-Allow-Origin"]) == (404, "https://a.example")


def test_what_is_not_done_is_said_by_name(application: Application) -> None:
    notes = application.cloud.notes
    assert "Public (AWS_IAM) is open here: every call is let through" in notes
    assert not any("ApiGatewayV2" in one for one in application.cloud.differences)


def test_outputs_that_hold_an_apis_address_tell_the_one_here(application: Application) -> None:
    addresses = list(application.addresses.values())
    told = about(application.cloud, application.running, addresses, "http://127.0.0.1:1", None)
    assert told.outputs["Url"] == f"{application.addresses['Public'].endpoint}/things"
    assert told.outputs["Endpoint"] == application.addresses["Plain"].endpoint


def test_a_port_that_was_asked_for_and_is_taken_is_refused(application: Application) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} for Plain cannot be listened on .*--api-port N"):
            application.running.apis(port=port).__enter__()


def test_the_usual_port_is_left_to_who_has_it(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setattr("tablestream.local.gateway.gateway.DEFAULT_PORT", port)
        with application.running.apis() as addresses:
            first = addresses[0]
            assert first.endpoint != f"http://127.0.0.1:{port}"
            assert first.note == f"Plain: port {port} is taken, so it has another; --api-port N chooses"


def test_an_api_without_a_function_has_no_routes(tmp_path: Path) -> None:
    document = "{ openapi: 3.0.1, paths: { /x: { get: { x-amazon-apigateway-integration: { type: http_proxy } } } } }"
    api = f"  Empty: {{ Type: AWS::Serverless::HttpApi, Properties: {{ DefinitionBody: {document} }} }}"
    (tmp_path / "template.yaml").write_text(f"Transform: AWS::Serverless-2016-10-31\nResources:\n{api}\n")
    (parts,) = translate(tmp_path / "template.yaml").apis.values()
    assert (parts["routes"], parts["strange"]) == ([], ["GET /x"])
