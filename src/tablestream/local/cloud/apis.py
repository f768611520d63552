"""The HTTP and REST APIs of a template: taken out of it, as the embedded AWS knows none, and read for the gateway.

A route of SAM stands in the OpenAPI document that the translator writes; one of plain CloudFormation is a resource.
Both become parts that are resolved with the stack: the function's address, the stage's name, the CORS configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tablestream.local.cloud.functions import invoked
from tablestream.local.gateway.routes import ANY, DEFAULT, LONGEST_SECONDS, Cors, HttpApi, HttpRoute
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.template.gaps import AUTHORIZERS
from tablestream.local.template.references import referred

Json = Any  # what a template holds
API, STAGE = "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage"
REST, REST_STAGE, METHOD = "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage", "AWS::ApiGateway::Method"
RESOURCE = "AWS::ApiGateway::Resource"
SERVED = frozenset(
    {
        *(API, STAGE, "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration"),
        *(REST, REST_STAGE, METHOD, RESOURCE, "AWS::ApiGateway::Deployment"),
    }
)
"""The types of resources that the gateway takes the place of."""

_INTEGRATION = "x-amazon-apigateway-integration"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_ANY_METHOD = "x-amazon-apigateway-any-method"
_FUNCTION = re.compile(r"functions/(?P<function>[^/]+)/invocations")
_OPEN = frozenset({"NONE"})
_CORS = {
    "allowOrigins": "origins",
    "allowMethods": "methods",
    "allowHeaders": "headers",
    "exposeHeaders": "exposed",
}


def take_apis(template: dict[str, Any]) -> dict[str, dict[str, Json]]:
    """The parts of each HTTP API of a translated template, by logical id; the template stays as it is.

    `routes` are those with their integrations, `cors` and `stage` as the template has them, and `strange` names what is
    no route to a function.
    """
    resources = template["Resources"]
    return {name: _parts(name, resource, resources) for name, resource in resources.items() if _is_served(resource)}


def _is_served(resource: Mapping[str, Json]) -> bool:
    if resource["Type"] == REST:
        return True
    return bool(resource["Type"] == API and (resource.get("Properties") or {}).get("ProtocolType", "HTTP") == "HTTP")


def _parts(name: str, resource: Mapping[str, Json], resources: Mapping[str, Json]) -> dict[str, Json]:
    properties = resource.get("Properties") or {}
    document: Mapping[str, Json] = properties["Body"] if isinstance(properties.get("Body"), dict) else {}
    is_rest = resource["Type"] == REST
    found = _in_methods(name, resources) if is_rest else _in_resources(name, properties, resources)
    routes = [*_in_document(document), *found]
    strange = [] if not isinstance(properties.get("BodyS3Location"), dict) else ["its document is in S3"]
    return {
        **({"Condition": resource["Condition"]} if "Condition" in resource else {}),
        "rest": is_rest,
        "routes": [route for route in routes if route["proxy"]],
        "strange": strange + [route["key"] for route in routes if not route["proxy"] and route["method"] != "OPTIONS"],
        "cors": document.get("x-amazon-apigateway-cors") or properties.get("CorsConfiguration"),
        "stage": next(
            (
                one["Properties"].get("StageName", DEFAULT)
                for one in resources.values()
                if (one["Type"] == STAGE and referred(one["Properties"].get("ApiId")) == name)
                or (one["Type"] == REST_STAGE and referred(one["Properties"].get("RestApiId")) == name)
            ),
            DEFAULT,
        ),
    }


def _in_document(document: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    for path, operations in (document.get("paths") or {}).items():
        for method, operation in operations.items():
            if method.lower() in _METHODS or method == _ANY_METHOD:
                told = ANY if method == _ANY_METHOD else method.upper()
                security = operation.get("security", document.get("security")) or []
                guards = sorted({guard for one in security for guard in one})
                yield _route(told, path.replace(f"/{DEFAULT}", DEFAULT), operation.get(_INTEGRATION) or {}, guards)


def _in_resources(api: str, properties: Mapping[str, Json], resources: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    if (target := properties.get("Target")) is not None:  # quick create
        key, version = properties.get("RouteKey", DEFAULT), {"payloadFormatVersion": "2.0"}
        yield _route(*_method_and_path(key), {"type": "aws_proxy", "uri": target, **version}, [])
    for resource in resources.values():
        one = resource.get("Properties") or {}
        if resource["Type"] == "AWS::ApiGatewayV2::Route" and referred(one.get("ApiId")) == api:
            integration = _camel_case(_integration(one.get("Target"), resources))
            route = _route(*_method_and_path(str(one.get("RouteKey"))), integration, [one.get("AuthorizationType")])
            yield route | ({"Condition": resource["Condition"]} if "Condition" in resource else {})


def _in_methods(api: str, resources: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """The routes of a REST API whose methods are resources, each below the one that is its parent."""
    for resource in resources.values():
        one = resource.get("Properties") or {}
        if resource["Type"] == METHOD and referred(one.get("RestApiId")) == api:
            path = _path_of(one.get("ResourceId"), resources) or "/"
            method = str(one.get("HttpMethod"))
            guards = [one.get("AuthorizationType")]
            yield _route(method, path, _camel_case(one.get("Integration") or {}), guards)


def _path_of(reference: Json, resources: Mapping[str, Json]) -> str:
    resource = resources.get(referred(reference) or "", {})
    if resource.get("Type") != RESOURCE:
        return ""
    properties = resource["Properties"]
    return f"{_path_of(properties.get('ParentId'), resources)}/{properties.get('PathPart')}"


def _integration(target: Json, resources: Mapping[str, Json]) -> Mapping[str, Json]:
    text = json.dumps(target)
    for name, resource in resources.items():
        if resource["Type"] == "AWS::ApiGatewayV2::Integration" and (f'"{name}"' in text or f"${{{name}}}" in text):
            return resource.get("Properties") or {}
    return {}


def _camel_case(properties: Mapping[str, Json]) -> dict[str, Json]:
    """The properties of an integration as an OpenAPI document names them."""
    names = {"IntegrationType": "type", "IntegrationUri": "uri"}
    return {names.get(name, name[0].lower() + name[1:]): value for name, value in properties.items()}


def _method_and_path(key: str) -> tuple[str, str]:
    method, _, path = key.partition(" ")
    return (method, path) if path else (ANY, DEFAULT)


def _route(method: str, path: str, integration: Mapping[str, Json], guards: Sequence[Json]) -> dict[str, Json]:
    proxy = str(integration.get("type", "")).lower() == "aws_proxy" and "integrationSubtype" not in integration
    return {
        "key": path if path == DEFAULT else f"{method} {path}",
        "method": method,
        "path": path,
        "uri": integration.get("uri"),
        "version": integration.get("payloadFormatVersion", "1.0"),
        "milliseconds": integration.get("timeoutInMillis", LONGEST_SECONDS * 1000),
        "guards": guards,
        "proxy": proxy,
    }


def read_api(
    name: str,
    parts: Mapping[str, Json],
    functions: Mapping[str, FunctionSpec],
    resolve: Callable[[Json], Json],
    holds: Callable[[Json], bool],
) -> tuple[HttpApi, list[str]]:
    """The API with the routes that can be served here, and notes on the others and on what is not done.

    `holds` tells whether the condition of a part is true.
    """
    routes: list[HttpRoute] = []
    guards: set[str] = set()
    left_out = [str(one) for one in parts["strange"]]
    for part in filter(holds, parts["routes"]):
        route = resolve(part)
        target = invoked(_function(str(route["uri"])), functions)
        if target is None:
            left_out.append(str(route["key"]))
            continue
        guards |= {str(guard) for guard in route["guards"] if guard} - _OPEN
        seconds = min(float(route["milliseconds"]) / 1000, LONGEST_SECONDS)
        payload = "1.0" if parts["rest"] else str(route["version"])
        routes.append(HttpRoute(route["method"], route["path"], target[0], target[1], seconds, payload))
    stage, cors = str(resolve(parts["stage"])), _cors(resolve(parts["cors"]))
    api = HttpApi(name, routes, stage, None if parts["rest"] else cors, is_rest=parts["rest"])
    return api, [*_notes(name, left_out, sorted(guards))]


def _function(uri: str) -> str:
    """The function's ARN in an integration's address; plain CloudFormation may give the ARN alone."""
    found = _FUNCTION.search(uri)
    return found["function"] if found else uri


def _cors(configured: Json) -> Cors | None:
    if not isinstance(configured, dict) or not configured:
        return None
    given = _camel_case(configured)
    lists = {field: _texts(given.get(name)) for name, field in _CORS.items()}
    age = given.get("maxAge")
    return Cors(
        **lists,
        max_age=None if age is None else int(age),
        credentials=str(given.get("allowCredentials", "")).lower() == "true",
    )


def _texts(given: Json) -> Sequence[str]:
    listed = given if isinstance(given, list) else [] if given is None else str(given).split(",")
    return tuple(dict.fromkeys(str(one).strip() for one in listed if str(one).strip()))


def _notes(name: str, left_out: Sequence[str], guards: Sequence[str]) -> Iterator[str]:
    if left_out:
        told = ", ".join(left_out)
        yield f"{name} does not serve {told}: only functions that run here are called"
    if guards:
        yield AUTHORIZERS.of(f"{name} ({', '.join(guards)})")
