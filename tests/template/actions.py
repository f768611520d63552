"""Which AWS actions the worker's code calls, read off its source, and which the template grants."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

# Where IAM's action is not the operation's name: what permits one entry permits many, and S3 calls some by other names.
RENAMED = {
    "lambda:Invoke": {"lambda:InvokeFunction"},
    "s3:DeleteObjects": {"s3:DeleteObject"},
    "s3:HeadBucket": {"s3:ListBucket"},
    "s3:HeadObject": {"s3:GetObject"},
    "s3:ListObjects": {"s3:ListBucket"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "sns:PublishBatch": {"sns:Publish"},
    "sqs:ChangeMessageVisibilityBatch": {"sqs:ChangeMessageVisibility"},
    "sqs:DeleteMessageBatch": {"sqs:DeleteMessage"},
    "sqs:SendMessageBatch": {"sqs:SendMessage"},
}
# A transaction needs the permission of what it does to its items, and none of its own.
IN_TRANSACTION = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
NOT_OPERATIONS = {"can_paginate", "close", "generate_presigned_post", "generate_presigned_url", "get_paginator"}


def reachable(source: Path, start: str) -> list[ast.Module]:
    """Parse the modules below a folder that a module imports, directly or through others, itself included.

    A name that a package only passes on leads to the module that has it, and to no other of the package.
    """
    found: dict[str, ast.Module] = {}
    wanted = [(start, "")]
    while wanted:
        module, name = wanted.pop()
        path = source.joinpath(*module.split("."))
        if name and path.is_dir():
            if path.joinpath(name).is_dir() or path.joinpath(f"{name}.py").is_file():
                wanted.append((f"{module}.{name}", ""))
            else:
                package = ast.parse((path / "__init__.py").read_text(encoding="utf-8"))
                wanted += [one for one in _imports(package) if one[1] == name]
        elif path.with_suffix(".py").is_file() and module not in found:
            found[module] = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8"), module)
            wanted += _imports(found[module])
    return list(found.values())


def _imports(tree: ast.Module) -> list[tuple[str, str]]:
    """Return what a module imports: modules, and names of modules."""
    nodes = list(ast.walk(tree))
    named = [(node.module or "", one.name) for node in nodes if isinstance(node, ast.ImportFrom) for one in node.names]
    return named + [(one.name, "") for node in nodes if isinstance(node, ast.Import) for one in node.names]


def actions_called(trees: Iterable[ast.Module], services: Iterable[str]) -> set[str]:
    """Name the IAM actions behind every mention of a client's method.

    A transaction's are those of what it does, which is known by the keys of the requests that are built.
    """
    trees = list(trees)
    called: set[str] = set()
    for service, operations in operations_called(trees, services).items():
        for action in (f"{service}:{operation}" for operation in operations):
            called |= RENAMED.get(action, {action})
    dicts = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Dict))
    called |= {IN_TRANSACTION[key] for node in dicts for key in _keys(node) if key in IN_TRANSACTION}
    return called - {"dynamodb:TransactWriteItems"}


def operations_called(trees: Iterable[ast.Module], services: Iterable[str]) -> dict[str, set[str]]:
    """Name the operations behind every mention of a client's method, by service.

    A method is known by its name alone, so that no alias and no `partial` hides a call. Its service must be one of
    `services`; a name that two of them have counts for both.
    """
    mentioned = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {
        service: {operation for name, operation in _operations(service).items() if name in mentioned}
        for service in services
    }


def services_used(trees: Iterable[ast.Module]) -> set[str]:
    """Name the services that clients are made of: the first argument of whatever function is called to make one.

    What a class is called with is none: a sink can have the name of a service.
    """
    known = set(botocore.session.get_session().get_available_services())
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    first = (call.args[0] for call in calls if call.args and not _is_class(call.func))
    return {str(each.value) for each in first if isinstance(each, ast.Constant)} & known


def _is_class(called: ast.expr) -> bool:
    """Tell by its name, as this project writes names, whether a class is called."""
    return ast.unparse(called).rpartition(".")[2][:1].isupper()


def _keys(node: ast.Dict) -> Iterator[str]:
    return (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


@cache
def _operations(service: str) -> Mapping[str, str]:
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(operation): operation for operation in model.operation_names}
    return {name: operation for name, operation in names.items() if name not in NOT_OPERATIONS}


def role_statements(resources: Mapping[str, Any], role: str = "WorkerRole") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the statements of a role, with their Sid: its own policies and those attached to it."""
    documents = [policy["PolicyDocument"] for policy in resources[role]["Properties"]["Policies"]]
    managed = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::IAM::ManagedPolicy"]
    for document in [*documents, *(policy["PolicyDocument"] for policy in managed)]:
        for statement in document["Statement"]:
            yield statement["Sid"], statement


def granted(resources: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the actions of each statement of the worker's role, by Sid."""
    found: dict[str, set[str]] = {}
    for sid, statement in role_statements(resources):
        action = statement["Action"]
        found.setdefault(sid, set()).update([action] if isinstance(action, str) else action)
    return found
