"""The alarms and the dashboard, held against the metrics that the worker and Lambda have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shop.stock.counts import StockMetric
from tablestream.local.cloud.translate import translate
from tablestream.metrics import Metric

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "Tablestream"
# What Lambda publishes of a function, and of an event source mapping that asks for EventCount.
FUNCTION = {"ConcurrentExecutions", "DestinationDeliveryFailures", "Duration", "Errors"}
FUNCTION |= {"Invocations", "IteratorAge", "Throttles"}
MAPPING = {"PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount"}
MAPPING |= {"DroppedEventCount", "OnFailureDestinationDeliveredEventCount"}
HTTP_API = {"4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency"}
"""What API Gateway publishes of an HTTP API."""
SINGLE, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    translated = translate(ROOT / "template.yaml").template["Resources"]
    assert isinstance(translated, dict)
    return translated


def of_type(resources: dict[str, Any], *kinds: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] in kinds}


def watched(resources: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Namespace, name and dimension of every metric that an alarm watches."""
    for alarm in of_type(resources, SINGLE).values():
        metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        for metric in metrics or [alarm]:
            (dimension,) = metric["Dimensions"]
            yield metric["Namespace"], metric["MetricName"], dimension["Name"]


def shown(resources: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Namespace, name and dimension of every metric on the dashboard."""
    for widget in dashboard(resources):
        for metric in widget["properties"].get("metrics", []):
            yield metric[0], metric[1], metric[2]


def dashboard(resources: dict[str, Any]) -> list[dict[str, Any]]:
    text: str = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets: list[dict[str, Any]] = json.loads(re.sub(r"\$\{[^}]*}", "0", text))["widgets"]
    return widgets


def test_every_metric_of_the_worker_is_on_the_dashboard_and_no_other(resources: dict[str, Any]) -> None:
    assert {name for space, name, _ in shown(resources) if space == NAMESPACE} == {*Metric, *StockMetric}


def test_alarms_and_dashboard_name_only_metrics_that_exist_with_their_dimension(resources: dict[str, Any]) -> None:
    known = {(NAMESPACE, name.value, "service") for name in (*Metric, *StockMetric)}
    known |= {("AWS/Lambda", name, "FunctionName") for name in FUNCTION}
    known |= {("AWS/Lambda", name, "EventSourceMappingUUID") for name in MAPPING}
    known |= {("AWS/ApiGateway", name, "ApiId") for name in HTTP_API}

    assert {*watched(resources), *shown(resources)} <= known


def test_the_metrics_have_the_namespace_and_service_that_the_worker_is_given(resources: dict[str, Any]) -> None:
    variables = resources["Worker"]["Properties"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE
    services = [
        alarm["Dimensions"][0]["Value"] for alarm in of_type(resources, SINGLE).values() if "Dimensions" in alarm
    ]
    assert variables["POWERTOOLS_SERVICE_NAME"] in services
    assert '"service", "${AWS::StackName}"' in resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]


def test_the_event_source_mapping_publishes_what_is_watched() -> None:
    mapping = translate(ROOT / "template.yaml").mappings["WorkerStream"]["Properties"]
    assert mapping["MetricsConfig"] == {"Metrics": ["EventCount"]}


@pytest.mark.parametrize(
    "metric",
    [
        *("IteratorAge", "DeadLetters", "OnFailureDestinationDeliveredEventCount", "Errors", "Throttles"),
        *("RecordsHeldBack", "Duration", "DestinationDeliveryFailures", "5xx", "Latency"),
    ],
)
def test_an_alarm_watches(metric: str, resources: dict[str, Any]) -> None:
    assert metric in {name for _, name, _ in watched(resources)}


def test_throttles_are_watched_of_both_functions(resources: dict[str, Any]) -> None:
    alarms = [each for each in of_type(resources, SINGLE).values() if each.get("MetricName") == "Throttles"]
    assert {alarm["Dimensions"][0]["Value"]["Ref"] for alarm in alarms} == {"Api", "Worker"}


def test_each_alarm_is_sent_once_by_itself_or_by_the_composite(resources: dict[str, Any]) -> None:
    (composite,) = of_type(resources, COMPOSITE).values()
    spoken_for = set(re.findall(r'ALARM\("\$\{(\w+)}"\)', composite["AlarmRule"]["Fn::Sub"]))
    silent = {name for name, alarm in of_type(resources, SINGLE).items() if not alarm.get("AlarmActions")}

    assert spoken_for == silent
    assert composite["AlarmActions"]


def test_every_threshold_is_a_parameter_but_that_of_loss(resources: dict[str, Any]) -> None:
    fixed = {name for name, alarm in of_type(resources, SINGLE).items() if not isinstance(alarm["Threshold"], dict)}
    assert fixed == {"LostAlarm"}


def test_an_idle_table_rings_nothing(resources: dict[str, Any]) -> None:
    assert {alarm["TreatMissingData"] for alarm in of_type(resources, SINGLE).values()} == {"notBreaching"}


def test_the_dashboard_shows_every_alarm(resources: dict[str, Any]) -> None:
    text = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert set(re.findall(r'"\$\{(\w+)\.Arn}"', text)) == set(of_type(resources, SINGLE, COMPOSITE))


def test_the_widgets_fill_the_dashboard_without_overlap(resources: dict[str, Any]) -> None:
    fields = [
        (column, row)
        for widget in dashboard(resources)
        for column in range(widget["x"], widget["x"] + widget["width"])
        for row in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(fields) == len(set(fields))
    assert max(column for column, _ in fields) == 23  # a dashboard is 24 wide


def test_each_alarm_names_a_section_of_the_operations_manual(resources: dict[str, Any]) -> None:
    manual = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z ]", "", line.lower()).strip().replace(" ", "-")
        for line in manual.splitlines()
        if line[:1] == "#"
    }
    for name, alarm in of_type(resources, SINGLE, COMPOSITE).items():
        found = re.search(r"docs/operations\.md#([a-z-]+)", alarm["AlarmDescription"])
        assert found, name
        assert found[1] in headings, name
