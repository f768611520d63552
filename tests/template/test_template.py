from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shop.handlers import router
from tablestream.local.cloud.translate import translate
from tablestream.local.delivery.filters import FilterSet
from tablestream.testing import event, inserted, modified, removed
from tests.template.actions import role_statements

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
ORDER = {"pk": "USER#1", "sk": "ORDER#1", "entityType": "Order"}
UNTYPED = {"pk": "USER#1", "sk": "ORDER#1"}
PRODUCT = {"pk": "PRODUCT#1", "sk": "META", "entityType": "Product"}
DAY = 24 * 60 * 60
TABLE_SIDE: dict[str, dict[str, Any]] = {
    "User": {"pk": "USER#1", "sk": "PROFILE#1"},
    "EmailClaim": {"pk": "EMAIL#a@example.com", "sk": "EMAIL#a@example.com"},
    "Order": {"pk": "USER#1", "sk": "ORDER#1"},
    "Session": {"pk": "SESSION#1", "sk": "SESSION#1"},
    "Account": {"pk": "ACCOUNT#1", "sk": "BALANCE"},
    "Entry": {"pk": "ACCOUNT#1", "sk": "TXN#1"},
    "Lead": {"pk": "LEAD#1", "sk": "LEAD#1"},
    "Review": {"pk": "USER#1", "sk": "REVIEW#1"},
    "Lock": {"pk": "USER#1", "sk": "ORDER#1#LOCK"},
    "Idempotency": {"pk": "IDEM#orders#1", "sk": "IDEM#orders#1"},
}
"""An item's key, by the entities that the HTTP API writes."""


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return translate(TEMPLATE).template


@pytest.fixture(scope="module")
def mapping() -> dict[str, Any]:
    properties: dict[str, Any] = translate(TEMPLATE).mappings["WorkerStream"]["Properties"]
    return properties


@pytest.fixture(scope="module")
def filters(mapping: dict[str, Any]) -> FilterSet:
    return FilterSet.compile([each["Pattern"] for each in mapping["FilterCriteria"]["Filters"]])


def statements(stack: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for _, statement in role_statements(stack["Resources"])]


def actions(statement: dict[str, Any]) -> list[str]:
    return statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]


def test_the_table_streams_both_images(stack: dict[str, Any]) -> None:
    table = stack["Resources"]["Table"]["Properties"]
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_a_failed_record_is_reported_alone_and_a_failed_batch_is_halved(mapping: dict[str, Any]) -> None:
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True


def test_what_lambda_gives_up_on_goes_to_the_bucket_with_its_payload(mapping: dict[str, Any]) -> None:
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailuresBucket", "Arn"]}


def test_a_record_is_given_up_before_the_stream_forgets_it(stack: dict[str, Any], mapping: dict[str, Any]) -> None:
    assert mapping["MaximumRecordAgeInSeconds"] == {"Ref": "MaximumRecordAge"}
    assert stack["Parameters"]["MaximumRecordAge"]["Default"] < DAY
    assert stack["Parameters"]["MaximumRetryAttempts"]["Default"] >= 0  # -1 is without end


def test_the_shortest_timeout_leaves_time_after_the_margin(stack: dict[str, Any]) -> None:
    variables = stack["Resources"]["Worker"]["Properties"]["Environment"]["Variables"]
    assert float(variables["DEADLINE_MARGIN_SECONDS"]) < stack["Parameters"]["Timeout"]["MinValue"]


@pytest.mark.parametrize(
    "record",
    [
        inserted(ORDER),
        modified(ORDER, {**ORDER, "status": "shipped"}),
        removed(ORDER),
        inserted(UNTYPED),
        modified(ORDER, UNTYPED),
        removed(UNTYPED),
    ],
    ids=["insert", "modify", "remove", "untyped insert", "type taken away", "untyped remove"],
)
def test_orders_get_through_the_filters_also_when_their_type_is_missing(
    record: dict[str, Any], filters: FilterSet
) -> None:
    assert filters.matches(event(record)["Records"][0])


@pytest.mark.parametrize(
    "record",
    [
        inserted(PRODUCT),
        modified(PRODUCT, {**PRODUCT, "price": 2}),
        removed(PRODUCT),
        inserted({"pk": "USER#1", "sk": "PROFILE"}),
        removed({"pk": "USER#1", "sk": "PROFILE"}),
    ],
    ids=["insert", "modify", "remove", "untyped insert", "untyped remove"],
)
def test_other_entities_cost_no_invocation(record: dict[str, Any], filters: FilterSet) -> None:
    assert not filters.matches(event(record)["Records"][0])


@pytest.mark.parametrize("entity", TABLE_SIDE)
def test_the_filters_let_in_the_entities_that_the_worker_has_handlers_for(entity: str, filters: FilterSet) -> None:
    item = {**TABLE_SIDE[entity], "entityType": entity, "status": "new", "createdAt": "2025-11-20T12:00:00Z"}
    changes = event(inserted(item), modified(item, {**item, "status": "old"}), removed(item))["Records"]
    for change in changes:
        assert filters.matches(change) == bool(router.routes(change)), change["eventName"]


def test_only_orders_invoke_the_worker(filters: FilterSet) -> None:
    records = {name: event(inserted({**key, "entityType": name}))["Records"][0] for name, key in TABLE_SIDE.items()}
    assert [name for name, record in records.items() if filters.matches(record)] == ["Order"]


def test_indexes_are_on_attributes_that_mean_something_and_hold_what_their_pages_show(stack: dict[str, Any]) -> None:
    table = stack["Resources"]["Table"]["Properties"]
    found = {
        index["IndexName"]: (
            [each["AttributeName"] for each in index["KeySchema"]],
            index["Projection"]["ProjectionType"],
        )
        for index in table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"]
    }
    assert found == {
        "GSI1": (["GSI1PK", "GSI1SK"], "ALL"),
        "byStatus": (["status", "createdAt"], "ALL"),
        "byEmail": (["email", "createdAt"], "ALL"),
        "byCreation": (["pk", "createdAt"], "KEYS_ONLY"),
    }


def test_a_view_without_images_is_noticed_rather_than_filtered_out(filters: FilterSet) -> None:
    record = event(inserted(ORDER))["Records"][0]
    del record["dynamodb"]["NewImage"]
    assert filters.matches(record)


def test_the_worker_may_do_only_what_it_does_to_the_resources_it_uses(stack: dict[str, Any]) -> None:
    for statement in statements(stack):
        assert not any("*" in action for action in actions(statement)), statement["Sid"]
        # neither X-Ray nor ListStreams has resources to name
        assert statement["Resource"] != "*" or statement["Sid"] in {"Trace", "ListStreams"}
    attached = stack["Resources"]["WorkerRole"]["Properties"]["ManagedPolicyArns"]
    assert [each["Fn::If"][1] for each in attached] == [{"Ref": "TracePolicy"}, {"Ref": "KeyPolicy"}]  # none of AWS's


def test_the_worker_cannot_read_write_or_delete_orders_beyond_their_update(stack: dict[str, Any]) -> None:
    on_orders = [each for each in statements(stack) if each["Resource"] == {"Fn::GetAtt": ["Table", "Arn"]}]
    assert [actions(each) for each in on_orders] == [["dynamodb:UpdateItem"]]


def test_no_statement_of_sam_is_added_to_the_role(stack: dict[str, Any]) -> None:
    roles = {name for name, each in stack["Resources"].items() if each["Type"] == "AWS::IAM::Role"}
    assert roles == {"ApiRole", "WorkerRole"}


@pytest.mark.parametrize("name", ["Table", "InventoryTable", "FailuresBucket"])
def test_what_cannot_be_made_again_outlives_the_stack(name: str, stack: dict[str, Any]) -> None:
    resource = stack["Resources"][name]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", ["Table", "InventoryTable"])
def test_data_can_be_restored_to_a_point_in_time_and_is_encrypted(name: str, stack: dict[str, Any]) -> None:
    table = stack["Resources"][name]["Properties"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"]["SSEEnabled"] is True


def test_the_failures_bucket_is_private_and_refuses_plain_http(stack: dict[str, Any]) -> None:
    assert all(stack["Resources"]["FailuresBucket"]["Properties"]["PublicAccessBlockConfiguration"].values())
    (statement,) = stack["Resources"]["FailuresBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(("policy", "of"), [("TopicPolicy", "Topic"), ("AlarmTopicPolicy", "AlarmTopic")])
def test_the_topics_refuse_plain_http(policy: str, of: str, stack: dict[str, Any]) -> None:
    properties = stack["Resources"][policy]["Properties"]
    assert properties["Topics"] == [{"Ref": of}]
    (refusal,) = [each for each in properties["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("name", ["Table", "InventoryTable"])
def test_data_is_protected_from_deletion_where_that_is_asked_for(name: str, stack: dict[str, Any]) -> None:
    assert stack["Resources"][name]["Properties"]["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((table, ("SSESpecification", "KMSMasterKeyId")) for table in ("Table", "InventoryTable", "JournalTable")),
        ("Topic", ("KmsMasterKeyId",)),
        ("AlarmTopic", ("KmsMasterKeyId",)),
        *((logs, ("KmsKeyId",)) for logs in ("WorkerLogs", "ApiLogs", "HttpApiLogs")),
        (
            "FailuresBucket",
            (
                "BucketEncryption",
                "ServerSideEncryptionConfiguration",
                0,
                *("ServerSideEncryptionByDefault", "KMSMasterKeyID"),
            ),
        ),
    ],
)
def test_everything_that_holds_data_takes_the_key_of_the_stack_where_there_is_one(
    name: str, path: tuple[str | int, ...], stack: dict[str, Any]
) -> None:
    value = stack["Resources"][name]["Properties"]
    for step in path:
        value = value[step]
    assert value["Fn::If"][:2] == ["Encrypted", {"Fn::GetAtt": ["Key", "Arn"]}]


def test_the_key_outlives_the_stack_like_the_data_under_it(stack: dict[str, Any]) -> None:
    assert stack["Resources"]["Key"]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert stack["Resources"]["Key"]["Properties"]["EnableKeyRotation"] is True


def test_filter_patterns_are_as_long_as_the_service_takes(mapping: dict[str, Any]) -> None:
    patterns = [each["Pattern"] for each in mapping["FilterCriteria"]["Filters"]]
    assert len(patterns) <= 5
    assert all(len(pattern) <= 4096 and json.loads(pattern) for pattern in patterns)


def test_no_log_level_can_be_chosen_at_which_the_sdk_logs_its_requests(stack: dict[str, Any]) -> None:
    assert "DEBUG" not in stack["Parameters"]["LogLevel"]["AllowedValues"]


def test_production_cannot_be_deleted_by_mistake() -> None:
    stages = tomllib.loads((TEMPLATE.parent / "samconfig.toml").read_text(encoding="utf-8"))
    assert "DeletionProtection=true" in stages["prod"]["deploy"]["parameters"]["parameter_overrides"]


def test_every_parameter_that_a_stage_sets_is_one_of_the_template(stack: dict[str, Any]) -> None:
    stages = tomllib.loads((TEMPLATE.parent / "samconfig.toml").read_text(encoding="utf-8"))
    overrides = [
        given.split("=")[0]
        for stage in stages.values()
        if isinstance(stage, dict)
        for given in stage.get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    ]
    assert overrides
    assert set(overrides) <= set(stack["Parameters"])
