"""The template's stack in the embedded AWS: everything created, every reference resolved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodbstreams.models import dynamodbstreams_backends

from demo.warehouse import PRODUCTS, NewOrder, Shop, encode, seed
from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.faults import Fault
from tablestream.local.cloud.server import MOST_ITERATORS
from tablestream.local.cloud.translate import translate
from tablestream.local.delivery.mapping import read_mapping
from tablestream.local.errors import TemplateError, UsageError
from tablestream.local.template.parameters import parameter_values
from tablestream.local.template.project import parameter_overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tablestream.local.cloud.clients import Client

TEMPLATE = Path(__file__).parents[3] / "template.yaml"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud(TEMPLATE) as cloud:
        yield cloud


def test_every_output_is_resolved(cloud: Cloud) -> None:
    names = {"TableName", "InventoryTableName", "JournalTableName", "TopicArn", "FailuresBucketName", "WorkerName"}
    assert names | {"TableStreamArn"} <= set(cloud.outputs)
    assert all(value and "{" not in value for value in cloud.outputs.values())


def test_the_outputs_name_what_is_there(cloud: Cloud) -> None:
    tables = cloud.client("dynamodb").list_tables()["TableNames"]
    assert {cloud.outputs[name] for name in ("TableName", "InventoryTableName", "JournalTableName")} <= set(tables)
    cloud.client("sns").get_topic_attributes(TopicArn=cloud.outputs["TopicArn"])
    cloud.client("s3").head_bucket(Bucket=cloud.outputs["FailuresBucketName"])
    table = cloud.client("dynamodb").describe_table(TableName=cloud.outputs["TableName"])["Table"]
    assert table["LatestStreamArn"] == cloud.outputs["TableStreamArn"]


@pytest.mark.parametrize(
    ("index", "condition"),
    [("byStatus", "#s = :status"), ("byEmail", "email = :email"), ("byCreation", "pk = :pk")],
)
def test_the_indexes_of_the_table_can_be_queried(cloud: Cloud, index: str, condition: str) -> None:
    table = cloud.outputs["TableName"]
    values = {":status": {"S": "new"}, ":email": {"S": "ada@example.com"}, ":pk": {"S": "LEAD#indexed"}}
    keys = {"pk": {"S": "LEAD#indexed"}, "sk": {"S": "LEAD#indexed"}, "createdAt": {"S": "2025-11-20T12:00:00Z"}}
    lead = {**keys, "status": values[":status"], "email": values[":email"]}
    cloud.client("dynamodb").put_item(TableName=table, Item=lead)
    name = condition.rpartition(" ")[2]
    names = {"ExpressionAttributeNames": {"#s": "status"}} if "#" in condition else {}
    found = cloud.client("dynamodb").query(
        TableName=table,
        IndexName=index,
        KeyConditionExpression=condition,
        ExpressionAttributeValues={name: values[name]},
        **names,
    )
    cloud.client("dynamodb").delete_item(TableName=table, Key={name: lead[name] for name in ("pk", "sk")})
    assert [item.items() >= keys.items() for item in found["Items"]] == [True]


def test_the_workers_environment_is_resolved(cloud: Cloud) -> None:
    worker = cloud.functions["Worker"]
    expected = {
        "TABLE_NAME": cloud.outputs["TableName"],
        "INVENTORY_TABLE": cloud.outputs["InventoryTableName"],
        "JOURNAL_TABLE": cloud.outputs["JournalTableName"],
        "TOPIC_ARN": cloud.outputs["TopicArn"],
        "FAILURES_BUCKET": cloud.outputs["FailuresBucketName"],
        "AWS_ENDPOINT_URL": cloud.endpoint,
    }
    assert expected.items() <= worker.environment.items()
    assert not any("{" in value for value in worker.environment.values())
    assert (worker.handler, worker.code.resolve()) == ("shop.processor.handler", TEMPLATE.parent / "src")


def test_the_mapping_is_kept_aside_with_its_settings_resolved(cloud: Cloud) -> None:
    (mapping,) = cloud.mappings
    settings = read_mapping(mapping.properties)
    assert (mapping.function, mapping.stream_arn) == ("Worker", cloud.outputs["TableStreamArn"])
    assert settings.report_failures
    assert settings.destination is not None
    assert settings.destination.arn.endswith(cloud.outputs["FailuresBucketName"])
    assert cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []


def test_time_to_live_is_on_where_the_template_says_so(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    for name, status in (("TableName", "ENABLED"), ("JournalTableName", "ENABLED"), ("InventoryTableName", "DISABLED")):
        described = dynamodb.describe_time_to_live(TableName=cloud.outputs[name])["TimeToLiveDescription"]
        assert described["TimeToLiveStatus"] == status, name


def test_an_injected_fault_hits_what_it_names_and_ends(cloud: Cloud) -> None:
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["InventoryTableName"]
    write = {"TransactItems": [{"Put": {"TableName": table, "Item": encode({"pk": "x", "sk": "x"})}}]}
    with (
        cloud.faults.during(Fault("TransactWriteItems", "TransactionConflict", table)),
        pytest.raises(ClientError) as raised,
    ):
        dynamodb.transact_write_items(**write)
    assert raised.value.response["Error"]["Code"] == "TransactionCanceledException"
    assert [reason["Code"] for reason in raised.value.response["CancellationReasons"]] == ["TransactionConflict"]
    with cloud.faults.during(Fault("TransactWriteItems", "ThrottlingException", "another table")):
        dynamodb.transact_write_items(**write)


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("dynamodb", lambda client: client.list_tables()),
        ("s3", lambda client: client.put_object(Bucket="bucket", Key="k", Body=b"x")),
        ("sns", lambda client: client.list_topics()),
        ("sqs", lambda client: client.list_queues()),
    ],
)
def test_an_outage_hits_the_functions_calls_of_one_service(
    cloud: Cloud, service: str, call: Callable[[Client], Any]
) -> None:
    variables = cloud.functions["Worker"].environment
    session: Any = boto3.Session(
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=variables["AWS_SESSION_TOKEN"],
    )
    once = Config(retries={"total_max_attempts": 1})
    client = session.client(service, endpoint_url=cloud.endpoint, config=once)
    cloud.client("s3").create_bucket(Bucket="bucket")
    with cloud.faults.during(Fault("", "ServiceUnavailable", service=service, functions_only=True)):
        with pytest.raises(ClientError) as raised:
            call(client)
        assert raised.value.response["Error"]["Code"] == "ServiceUnavailable"
        call(cloud.client(service))
    call(client)


def test_shard_iterators_do_not_pile_up_while_it_runs(cloud: Cloud) -> None:
    streams, arn = cloud.client("dynamodbstreams"), cloud.outputs["TableStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    request = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    streams.get_shard_iterator(**request)
    kept = dynamodbstreams_backends[DEFAULT_ACCOUNT_ID][REGION].shard_iterators
    kept |= {f"old-{n}": next(iter(kept.values())) for n in range(MOST_ITERATORS)}
    for _ in range(3):
        streams.get_records(ShardIterator=streams.get_shard_iterator(**request)["ShardIterator"])
    assert len(kept) < MOST_ITERATORS


def test_a_fault_ends_after_its_calls(cloud: Cloud) -> None:
    injected = cloud.faults.inject(Fault("ListTables", "InternalServerError"), times=1)
    cloud.client("dynamodb").list_tables()  # the client tries again
    assert (injected.answered, injected.over, cloud.faults.active()) == (1, True, [])


def test_a_seeded_cloud_has_stock_and_the_orders_an_event_shows(cloud: Cloud) -> None:
    kept, gone = NewOrder("kept", [("tea", 1)]), NewOrder("gone", [("tea", 1)])
    seed(
        cloud.client("dynamodb"),
        cloud.outputs,
        {"Records": [_new(kept), _new(gone), _removal(gone), "junk", {"dynamodb": {}}]},
    )
    shop = Shop(cloud.client("dynamodb"), cloud.outputs)
    assert shop.available() == dict(PRODUCTS)
    assert [item["orderId"] for item in shop.orders()] == ["kept"]


def _new(order: NewOrder) -> dict[str, Any]:
    return {"dynamodb": {"Keys": order.key, "NewImage": order.item() | {"photo": {"B": "AAEC"}}}}


def _removal(order: NewOrder) -> dict[str, Any]:
    return {"dynamodb": {"Keys": order.key, "OldImage": order.item()}}


def write_template(folder: Path, resources: dict[str, Any], **sections: Any) -> Path:
    path = folder / "template.json"
    path.write_text(json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": resources, **sections}))
    return path


def test_what_is_no_template_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("[1, 2")
    with pytest.raises(TemplateError, match="not a YAML or JSON template"):
        translate(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("a: b")
    with pytest.raises(TemplateError, match="no Resources section"):
        translate(tmp_path / "b.yaml")
    with pytest.raises(TemplateError, match="cannot read"):
        translate(tmp_path / "c.yaml")


DECLARED = {"Size": {"Type": "Number", "MinValue": 2, "MaxValue": 5}, "Stage": {"Default": "dev"}}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"Size": "3", "Sise": "1"}, "the template has no parameter Sise, but Size, Stage"),
        ({}, "no value and no default for Size: wanted --parameter Size=VALUE"),
        ({"Size": "1"}, "the parameter Size is '1': MinValue is 2"),
        ({"Size": "many"}, "the parameter Size is 'many': MinValue is 2"),
    ],
)
def test_parameters_are_checked_as_cloudformation_does(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        parameter_values({"Parameters": DECLARED}, given, {})


def test_the_command_line_wins_over_samconfig_whose_unknown_names_are_left_out() -> None:
    overrides = {"Size": "3", "Stage": "test", "Other": "1"}
    values, _ = parameter_values({"Parameters": DECLARED}, {"Size": "4"}, overrides)
    assert values == {"Size": "4", "Stage": "test"}


@pytest.mark.parametrize(
    "written", ["\"A=1 B='x y'\"", '["A=1", "B=x y"]', "\"ParameterKey=A,ParameterValue=1 B='x y'\""]
)
def test_overrides_are_read_in_each_form_the_sam_cli_takes(tmp_path: Path, written: str) -> None:
    (tmp_path / "samconfig.toml").write_text(
        f"version = 0.1\n[local.global.parameters]\nparameter_overrides = {written}"
    )
    assert parameter_overrides(tmp_path / "template.yaml") == {"A": "1", "B": "x y"}
    assert parameter_overrides(tmp_path / ".aws-sam" / "build" / "template.yaml") == {"A": "1", "B": "x y"}


def test_an_environment_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert parameter_overrides(tmp_path / "template.yaml") == {}
    (tmp_path / "samconfig.toml").write_text("[prod.deploy.parameters]\nparameter_overrides = 1")
    with pytest.raises(UsageError, match="no environment 'stage': wanted one of prod"):
        parameter_overrides(tmp_path / "template.yaml", "stage")
    with pytest.raises(UsageError, match="parameter_overrides is 1: wanted text or a list"):
        parameter_overrides(tmp_path / "template.yaml", "prod")


def test_our_local_environment_waits_for_no_batching_window() -> None:
    assert parameter_overrides(TEMPLATE)["BatchWindow"] == "0"
