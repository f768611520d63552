"""boto3 clients of the embedded AWS, for this process and for commands in another terminal."""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config

Client = Any  # boto3 builds its client classes at run time
REGION = "us-east-1"  # moto's streams name no other region
DYNAMODB = ("dynamodb", "dynamodbstreams")


class Clients:
    """One client per service, safe to share between threads. Tables live at `dynamodb_endpoint` if there is one."""

    def __init__(self, endpoint: str, dynamodb_endpoint: str | None = None) -> None:
        self._endpoint = endpoint
        self._dynamodb_endpoint = dynamodb_endpoint
        self._clients: dict[tuple[str, str], Client] = {}
        self._lock = threading.Lock()
        # Any: the service names are variables here, and the stubs have an overload for each literal.
        self._session: Any = boto3.Session(region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local")

    def get(self, service: str) -> Client:
        """The client of a service where its data is."""
        external = self._dynamodb_endpoint if service in DYNAMODB else None
        return self._get(service, external or self._endpoint)

    def embedded(self, service: str) -> Client:
        """The client of a service in the embedded AWS, DynamoDB too."""
        return self._get(service, self._endpoint)

    def _get(self, service: str, endpoint: str) -> Client:
        with self._lock:  # creating a client is not thread safe, using one is
            if (service, endpoint) not in self._clients:
                # "disabled": calls that carry an ARN would else go to a host name made of the account id.
                config = Config(account_id_endpoint_mode="disabled", retries={"total_max_attempts": 3})
                self._clients[service, endpoint] = self._session.client(service, endpoint_url=endpoint, config=config)
            return self._clients[service, endpoint]
