"""The OpenAPI document of the API: `python -m shop.api FILE` writes it when the package is built.

What may come in Powertools reads from the models. What goes out is said here: answers are written from items, and have
no models.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from shop.api.answers import JSON, Endpoint
from shop.api.problems import camel
from shop.api.schemas import LeadChange, UserChange
from shop.api.service import Api
from shop.orders import OrderStatus
from shop.stores.accounts import EntryType
from shop.stores.leads import LeadStatus

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_MAP: Schema = {"type": "object", "additionalProperties": True}
_TIME: Schema = {"type": "string", "format": "date-time"}
_ANY_ERROR = ((400, "VALIDATION_ERROR"), (500, "INTERNAL_ERROR"), (503, "UNAVAILABLE"))


def _of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(members: Mapping[str, Schema], optional: Sequence[str] = (), *, more: bool = False) -> Schema:
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": dict(members), "required": required, "additionalProperties": more}


def _entity(members: Mapping[str, Schema], optional: Sequence[str] = (), *, more: bool = False) -> Schema:
    common = {"createdAt": _TIME, "updatedAt": _TIME, "version": _WHOLE}
    return _object({**members, **common}, optional, more=more)


def _list(entries: Schema) -> Schema:
    return {"type": "array", "items": entries}


_MOST, _LEAST = 10**38 - 1, 1e-130
_KEPT: Schema = {
    "type": "number",
    "anyOf": [{"const": 0}, {"minimum": _LEAST, "maximum": _MOST}, {"maximum": -_LEAST, "minimum": -_MOST}],
}
"""A number that DynamoDB keeps, as far as a schema can say it."""
_VALUE: Schema = {
    "anyOf": [{"type": ["string", "boolean", "null"]}, _KEPT, _list(_of("Value")), _of("Map")],
}
_FILLED: Schema = {"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": _of("Value")}
"""A map that a caller may fill."""

_OF_NAMES = frozenset({"properties", "patternProperties"})
"""Members of a schema whose own members are names that somebody has given."""

_USER: Mapping[str, Schema] = {
    "userId": _TEXT,
    "email": _TEXT,
    "name": _TEXT,
    "profile": _MAP,
    "settings": _MAP,
    "tags": _list(_TEXT),
    "viewCount": _WHOLE,
}
_LINE = _object({"productId": _TEXT, "quantity": _WHOLE, "price": _NUMBER, "name": _TEXT}, ("name", "price"), more=True)
_ENTITIES: Mapping[str, Schema] = {
    "User": _entity(_USER, ("profile", "settings")),
    "Order": _entity(
        {
            "orderId": _TEXT,
            "customerId": _TEXT,
            "status": {"enum": [status.value for status in OrderStatus]},
            "statusReason": _TEXT,
            "items": _list(_LINE),
            "total": _NUMBER,
            "shippingAddress": _MAP,
        },
        ("statusReason", "shippingAddress"),
        more=True,
    ),
    "Session": _entity({"sessionId": _TEXT, "userId": _TEXT, "data": _MAP, "expiresAt": _WHOLE}, ("data",)),
    "Lead": _entity(
        {
            "leadId": _TEXT,
            "status": {"enum": [status.value for status in LeadStatus]},
            "name": _TEXT,
            "email": _TEXT,
            "company": _TEXT,
            "subject": _TEXT,
            "message": _TEXT,
        },
        ("company",),
    ),
    "Account": _entity({"accountId": _TEXT, "balance": _WHOLE}),
    "Entry": _entity(
        {
            "accountId": _TEXT,
            "transferId": _TEXT,
            "type": {"enum": [kind.value for kind in EntryType]},
            "amount": _WHOLE,
            "counterparty": _TEXT,
        }
    ),
    "Review": _entity(
        {"reviewId": _TEXT, "userId": _TEXT, "productId": _TEXT, "rating": _WHOLE, "text": _TEXT}, ("text",)
    ),
}


def _page(entity: str) -> Schema:
    return _object(
        {
            "items": _list(_of(entity)),
            "count": _WHOLE,
            "nextCursor": {"type": ["string", "null"]},
            "hasMore": {"type": "boolean"},
        }
    )


def answer_schemas() -> dict[str, Schema]:
    """Return the schemas of all answers, by the names that the routes give them."""
    some_user = _object({**_ENTITIES["User"]["properties"], "orders": _list(_of("Order"))}, (*_USER, "orders"))
    some_user["required"] = []
    detail = _object({"field": _TEXT, "message": _TEXT})
    error = {"error": _TEXT, "code": _TEXT, "requestId": _TEXT, "details": _list(detail), "current": _MAP}
    short = _object({"productId": _TEXT, "wanted": _WHOLE, "available": _WHOLE})
    error["products"] = _list(short)
    return {
        **_ENTITIES,
        **{f"{name}Page": _page(name) for name in ("User", "Order", "Lead", "Review")},
        **{f"Deleted{name}": _object({"deleted": _of(name)}) for name in ("User", "Order", "Session", "Lead")},
        "UserWithOrders": some_user,
        "UserBatch": _object({"items": _list(_of("UserWithOrders")), "missing": _list(_TEXT)}),
        "AccountWithEntries": _object({"accountId": _TEXT, "balance": _WHOLE, "entries": _list(_of("Entry"))}),
        "Transfer": _object({"transferId": _TEXT}),
        "ViewCount": _object({"viewCount": _WHOLE}),
        "Error": _object(error, ("details", "current", "products")),
    }


def document(api: Api) -> str:
    """Return the document as JSON text."""
    made = json.loads(
        api.app.get_openapi_json_schema(
            title="Shop",
            version="1",
            openapi_version="3.1.0",
            description="Users, orders, accounts, sessions, leads and reviews. Whoever calls signs the request.",
        )
    )
    operations = {(one.method, _template(one.path)): one for one in api.endpoints}
    paths: dict[str, Any] = {}
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            _complete(operation, operations[method.upper(), path])
        paths[re.sub(r"\{(\w+)\}", lambda found: f"{{{camel(found[1])}}}", path)] = methods
    known = made["components"]["schemas"]
    for name in (UserChange.__name__, LeadChange.__name__):
        changeable = [member for member in known[name]["properties"] if member != "expectedVersion"]
        known[name]["anyOf"] = [{"required": [member]} for member in changeable]
    schemas = {name: schema for name, schema in known.items() if "ValidationError" not in name}
    made["paths"] = _with_maps(tidied(paths, named=True))
    bodies = _with_maps(tidied(schemas, "default", named=True))
    made["components"] = {"schemas": {**bodies, "Map": _FILLED, "Value": _VALUE, **answer_schemas()}}
    return json.dumps(made, indent=1)


def _with_maps(schema: Any) -> Any:
    """Return the schemas of bodies with what a map may hold, which a model does not say."""
    if isinstance(schema, dict):
        if {name: schema.get(name) for name in _MAP} == _MAP:
            return _of("Map")
        return {name: _with_maps(part) for name, part in schema.items()}
    return [_with_maps(part) for part in schema] if isinstance(schema, list) else schema


def _template(path: str) -> str:
    return path.replace("<", "{").replace(">", "}")


def _complete(operation: dict[str, Any], one: Endpoint) -> None:
    """Say what a route answers, and name it and its parameters as callers know them."""
    operation["operationId"] = camel(one.run.__name__)
    operation["summary"], _, more = inspect.cleandoc(one.run.__doc__ or "").partition("\n\n")
    if more:
        operation["description"] = more
    operation["tags"] = [one.path.split("/")[1] if "/orders" not in one.path else "orders"]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["name"] = camel(parameter["name"])
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title()
        if parameter["schema"].get("type") == "array" or parameter["name"] == "fields":
            parameter["explode"] = False
    answers: dict[str, Any] = {str(one.status): _response(HTTPStatus(one.status).phrase, one.answers)}
    if one.also is not None:
        status, when = one.also
        answers[str(status)] = _response(when, one.answers)
    for status, code in sorted({*_ANY_ERROR, *one.errors}):
        before = answers.get(str(status))
        told = code if before is None else f"{before['description']}, {code}"
        answers[str(status)] = _response(told, "Error")
    operation["responses"] = answers


def _response(description: str, schema: str) -> Schema:
    return {"description": description, "content": {JSON: {"schema": _of(schema)}}}


def tidied(schema: Any, *left_out: str, named: bool = False) -> Any:
    """Return a schema without the titles that pydantic makes up, and with whole numbers as such.

    Bodies go without defaults, too: what does not come stays as it is. `named` says that the members are somebody's
    own, as properties are: one of them may be called `title`.
    """
    if isinstance(schema, dict):
        gone = () if named else ("title", *left_out)
        return {
            name: tidied(part, *left_out, named=not named and name in _OF_NAMES)
            for name, part in schema.items()
            if name not in gone
        }
    if isinstance(schema, list):
        return [tidied(part, *left_out) for part in schema]
    return int(schema) if isinstance(schema, float) and schema.is_integer() else schema
