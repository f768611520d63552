"""The HTTP API of the template: who may call what, how often, and what is written of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.cloudformation import translated
from tests.template.actions import role_statements


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return translated()


@pytest.fixture(scope="module")
def routes(stack: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = [each for each in stack["Resources"].values() if each["Type"] == "AWS::ApiGatewayV2::Route"]
    return {each["Properties"]["RouteKey"]: each for each in found}


def test_only_leads_are_open_and_preflight_requests_where_pages_may_call(routes: dict[str, dict[str, Any]]) -> None:
    unguarded = {key for key, route in routes.items() if route["Properties"]["AuthorizationType"] == "NONE"}
    assert unguarded == {"POST /leads", "OPTIONS /{proxy+}"}
    assert routes["OPTIONS /{proxy+}"]["Condition"] == "Pages"


def test_everything_else_asks_for_iam_or_for_a_token_where_an_issuer_is_named(
    routes: dict[str, dict[str, Any]],
) -> None:
    default = routes["$default"]["Properties"]
    assert default["AuthorizationType"] == {"Fn::If": ["Tokens", "JWT", "AWS_IAM"]}
    assert default["AuthorizerId"] == {"Fn::If": ["Tokens", {"Ref": "HttpApiAuthorizer"}, {"Ref": "AWS::NoValue"}]}


def test_iam_is_asked_no_page_may_call_and_the_documentation_is_off_unless_a_parameter_says_so(
    stack: dict[str, Any],
) -> None:
    chosen = {name: stack["Parameters"][name]["Default"] for name in ("ApiIssuer", "ApiOrigins", "ApiDocs")}
    assert chosen == {"ApiIssuer": "", "ApiOrigins": "", "ApiDocs": "false"}
    variables = stack["Resources"]["Api"]["Properties"]["Environment"]["Variables"]
    assert variables["API_DOCS"] == {"Ref": "ApiDocs"}


def test_the_open_route_is_throttled_harder_than_the_others(stack: dict[str, Any]) -> None:
    stage = stack["Resources"]["HttpApiStage"]
    assert stage["Properties"]["RouteSettings"]["POST /leads"] == {
        "ThrottlingRateLimit": {"Ref": "LeadsRate"},
        "ThrottlingBurstLimit": {"Ref": "LeadsBurst"},
    }
    assert stage["DependsOn"] == ["LeadsRoute"]
    parameters = stack["Parameters"]
    for kind in ("Rate", "Burst"):
        assert parameters[f"Leads{kind}"]["Default"] < parameters[f"Api{kind}"]["Default"]


def test_the_access_log_is_json_and_holds_no_path_no_address_and_no_name(stack: dict[str, Any]) -> None:
    text = stack["Resources"]["HttpApiStage"]["Properties"]["AccessLogSettings"]["Format"]
    entry = json.loads(text)
    assert {"requestId", "route", "status", "milliseconds"} <= entry.keys()
    assert not re.search(r"path|sourceIp|userAgent|identity|claims|body|header", text, re.IGNORECASE)


def test_the_function_ends_before_api_gateway_stops_waiting(stack: dict[str, Any]) -> None:
    assert stack["Parameters"]["ApiTimeout"]["MaxValue"] < 30
    assert stack["Resources"]["Api"]["Properties"]["Timeout"] == {"Ref": "ApiTimeout"}


def test_only_this_api_may_invoke_the_function(stack: dict[str, Any]) -> None:
    permission = stack["Resources"]["HttpApiPermission"]["Properties"]
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${HttpApi}/*")


def test_events_have_the_payload_that_the_function_reads(stack: dict[str, Any]) -> None:
    assert stack["Resources"]["HttpApiIntegration"]["Properties"]["PayloadFormatVersion"] == "2.0"


def test_the_api_may_neither_scan_nor_touch_another_table(stack: dict[str, Any]) -> None:
    statements = dict(role_statements(stack["Resources"], "ApiRole"))
    for sid in ("KeepItems", "FindItems"):
        actions = statements[sid]["Action"]
        assert not {"dynamodb:Scan", "dynamodb:*"} & set([actions] if isinstance(actions, str) else actions)
        resources = statements[sid]["Resource"]
        named = resources if isinstance(resources, list) else [resources]
        assert all(json.dumps(each).count("Table.Arn") or each == {"Fn::GetAtt": ["Table", "Arn"]} for each in named)


def test_a_query_is_permitted_on_each_index_and_nothing_else_is(stack: dict[str, Any]) -> None:
    table = stack["Resources"]["Table"]["Properties"]
    names = {one["IndexName"] for one in table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"]}
    statement = dict(role_statements(stack["Resources"], "ApiRole"))["FindItems"]
    assert statement["Action"] == "dynamodb:Query"
    assert {each["Fn::Sub"].removeprefix("${Table.Arn}/index/") for each in statement["Resource"]} == names


def test_the_log_groups_of_the_key_are_those_that_there_are(stack: dict[str, Any]) -> None:
    groups = [each["Properties"] for each in stack["Resources"].values() if each["Type"] == "AWS::Logs::LogGroup"]
    (statement,) = [
        each for each in stack["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"] if each["Sid"] == "Logs"
    ]
    permitted = statement["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]
    assert {arn["Fn::Sub"].partition(":log-group:")[2] for arn in permitted} == {
        group["LogGroupName"]["Fn::Sub"] for group in groups
    }
