"""Models of what callers send: bodies, query parameters and path parameters. Answers are written from the items.

They check the values that `json_text.read` makes: whole numbers are int already, however they were written.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from aws_lambda_powertools.event_handler.openapi.params import Body as WholeBody
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from shop.api.json_text import write
from shop.keys import MAX_PRODUCT_ID_BYTES
from shop.orders import MAX_PRODUCTS, MAX_QUANTITY, MAX_VERSION, OrderStatus
from shop.stores.leads import LeadStatus

PAGE, MAX_PAGE = 20, 100
MAX_IDS = 100
MAX_EMAIL = 254
MAX_SETTINGS_BYTES = 4096
MAX_EXTENSION = 2_592_000
MAX_MONEY = 2**53 - 1
"""The most minor units that a request names: of larger whole numbers JavaScript makes others."""
MAX_KEY = 255
_LATEST = 10**11
"""A time to live of more seconds than this was meant in milliseconds."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
ID = r"^\.*[A-Za-z0-9_@-][A-Za-z0-9._@-]*$"
"""An id, which is a part of a path: one of dots alone would be taken for another folder on the way."""
MAX_ID = 128
IDEMPOTENCY_KEY = "Idempotency-Key"
KEY = rf"[!-~]{{1,{MAX_KEY}}}"
"""An idempotency key."""
UserField = Literal[
    "userId", "email", "name", "profile", "settings", "tags", "viewCount", "createdAt", "updatedAt", "version"
]
"""The attributes of a user that an answer can have."""


# --- values ----------------------------------------------------------------------------------------------------------


def _email(text: str) -> str:
    address = text.strip().lower()
    if len(address) > MAX_EMAIL or not _EMAIL.fullmatch(address):
        raise ValueError(f"wanted an address with one @, of at most {MAX_EMAIL} characters")
    return address


def _price(value: Any) -> Any:
    if type(value) not in {int, Decimal}:
        raise ValueError("wanted a number")
    if value < 0:
        raise ValueError(f"wanted a number that is not negative, got {value}")
    return value


def _product(text: str) -> str:
    if not 0 < len(text.encode()) <= MAX_PRODUCT_ID_BYTES:
        raise ValueError(f"wanted 1 to {MAX_PRODUCT_ID_BYTES} bytes")
    return text


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    size = len(write(settings).encode())
    if size > MAX_SETTINGS_BYTES:
        raise ValueError(f"wanted at most {MAX_SETTINGS_BYTES} bytes of JSON, got {size}")
    return settings


def _once(tags: list[str]) -> set[str] | None:
    """Return tags without repetition; no tags are no attribute."""
    return set(tags) or None


def _another(recipient: str, info: ValidationInfo) -> str:
    if recipient == info.data.get("sender"):
        raise ValueError("wanted another account than `from`, got the same")
    return recipient


def _key(text: str) -> str:
    if not re.fullmatch(KEY, text):
        raise ValueError(f"wanted 1 to {MAX_KEY} visible ASCII characters, got something else")
    return text


Text = Annotated[str, Strict()]
Map = Annotated[dict[str, Any], Strict()]
Email = Annotated[str, Strict(), AfterValidator(_email), Field(json_schema_extra={"format": "email"})]
Settings = Annotated[Map, AfterValidator(_settings)]
Tags = Annotated[list[Text], AfterValidator(_once)]
Version = Annotated[int, Strict(), Field(ge=1, le=MAX_VERSION)]
Id = Annotated[str, Strict(), Field(pattern=ID, max_length=MAX_ID)]
ProductId = Annotated[str, Strict(), AfterValidator(_product), Field(json_schema_extra={"minLength": 1})]
Price = Annotated[Any, BeforeValidator(_price), WithJsonSchema({"type": "number", "minimum": 0})]


# --- bodies ----------------------------------------------------------------------------------------------------------


class Body(BaseModel):
    """A body: members that nobody knows are refused, since one that is misspelled would be lost."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, use_enum_values=True, defer_build=True)

    def __repr__(self) -> str:
        """Return nothing of what came: Powertools makes this text of each body, for a log at its lowest level."""
        return type(self).__name__

    def given(self) -> dict[str, Any]:
        """Return the members that came, by their names in the body, with None for those that came as null."""
        came = self.model_fields_set
        fields = type(self).model_fields
        return {field.alias or name: getattr(self, name) for name, field in fields.items() if name in came}


class UserBody(Body):
    """A new user."""

    user_id: Id | None = None
    email: Email
    name: Text
    profile: Map | None = None
    settings: Settings | None = None
    tags: Tags | None = None


class Patch(Body):
    """Some attributes of something that there is: at least one of them."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not self.model_fields_set - {"expected_version"}:
            raise ValueError("wanted at least one attribute to change, got none")
        return self


class UserChange(Patch):
    """Attributes of a user; null removes the profile or the tags."""

    name: Text = ""
    email: Email = ""
    profile: Map | None = None
    tags: Tags | None = None
    expected_version: Version | None = None


class UserIds(Body):
    """Users to be read."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_IDS)]


class LineBody(Body):
    """So many units of a product."""

    product_id: ProductId
    quantity: Annotated[int, Strict(), Field(ge=1, le=MAX_QUANTITY)]
    price: Price
    name: Text | None = None

    def line(self) -> dict[str, Any]:
        """Return the line as an order's item holds it."""
        line = {"productId": self.product_id, "quantity": self.quantity, "price": self.price}
        return line if self.name is None else {**line, "name": self.name}


def _lines(lines: list[LineBody]) -> list[LineBody]:
    products = len({line.product_id for line in lines})
    if products > MAX_PRODUCTS:
        raise ValueError(f"wanted at most {MAX_PRODUCTS} products, got {products}")
    return lines


class OrderBody(Body):
    """A new order. What it costs is computed here, never taken from a caller."""

    items: Annotated[list[LineBody], Field(min_length=1), AfterValidator(_lines)]
    shipping_address: Map | None = None
    ttl: Annotated[int, Strict(), Field(ge=1, lt=_LATEST)] | None = None


class OrderChange(Body):
    """The status that an order of this version is to have."""

    status: OrderStatus
    expected_version: Version


class SessionBody(Body):
    """A new session."""

    user_id: Id
    data: Map | None = None


class SessionChange(Body):
    """The seconds from now for which a session is to last."""

    extend_seconds: Annotated[int, Strict(), Field(ge=1, le=MAX_EXTENSION)]


class LeadBody(Body):
    """A new lead."""

    name: Text
    email: Email
    company: Text | None = None
    subject: Text
    message: Text


class LeadChange(Patch):
    """Attributes of a lead; null removes the company."""

    status: LeadStatus = LeadStatus.NEW
    name: Text = ""
    email: Email = ""
    company: Text | None = None
    subject: Text = ""
    message: Text = ""


class ReviewBody(Body):
    """A new review."""

    product_id: ProductId
    rating: Annotated[int, Strict(), Field(ge=1, le=5)]
    text: Text | None = None


class AccountBody(Body):
    """A new account."""

    balance: Annotated[int, Strict(), Field(ge=0, le=MAX_MONEY)]


class TransferBody(Body):
    """Whole minor units that go from one account to another one."""

    sender: Id = Field(alias="from")
    recipient: Annotated[Id, AfterValidator(_another)] = Field(alias="to")
    amount: Annotated[int, Strict(), Field(ge=1, le=MAX_MONEY)]


SettingsBody = Annotated[Settings, WholeBody()]
"""Settings as a body of their own, in which every member has a name that the caller chooses."""


# --- paths, queries and headers ---------------------------------------------------------------------------------------

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WANTED_TIME = "wanted a date, or a time with its offset like 2025-11-20T12:00:00Z"


def _moment(text: str, *, up: bool) -> str:
    """Return a time as items hold it: one between two milliseconds as the later or the earlier one."""
    try:
        moment = datetime.fromisoformat(text.upper())
        in_utc = moment.astimezone(UTC) + timedelta(microseconds=999 if up else 0)
    except (ValueError, OverflowError):
        raise ValueError(_WANTED_TIME) from None
    if moment.tzinfo is None:
        raise ValueError(_WANTED_TIME)
    return f"{in_utc.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(_WANTED_TIME) from None


def _first(text: str) -> str:
    """Return the earliest `createdAt` that is meant."""
    return f"{_day(text)}T00:00:00.000Z" if _DATE.fullmatch(text) else _moment(text, up=True)


def _last(text: str) -> str:
    """Return the latest `createdAt` that is meant."""
    return f"{_day(text)}T23:59:59.999Z" if _DATE.fullmatch(text) else _moment(text, up=False)


_DATE_OR_TIME = WithJsonSchema({"anyOf": [{"type": "string", "format": kind} for kind in ("date", "date-time")]})

UserId = Annotated[str, Path(pattern=ID, max_length=MAX_ID)]
OrderId = Annotated[str, Path(pattern=ID, max_length=MAX_ID)]
SessionId = Annotated[str, Path(pattern=ID, max_length=MAX_ID)]
LeadId = Annotated[str, Path(pattern=ID, max_length=MAX_ID)]
AccountId = Annotated[str, Path(pattern=ID, max_length=MAX_ID)]

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query()]
Fields = Annotated[list[UserField] | None, Query()]
AsEmail = Annotated[Email, Query()]
MaybeEmail = Annotated[Email | None, Query()]
Consistent = Annotated[bool, Query()]
Reserve = Annotated[Literal["now"] | None, Query()]
Include = Annotated[Literal["orders"] | None, Query()]
From = Annotated[Annotated[str, AfterValidator(_first), _DATE_OR_TIME] | None, Query(alias="from")]
To = Annotated[Annotated[str, AfterValidator(_last), _DATE_OR_TIME] | None, Query()]
Direction = Annotated[Literal["asc", "desc"], Query()]
WantedStatus = Annotated[OrderStatus, Query()]
MaybeStatus = Annotated[OrderStatus | None, Query()]
MaybeLeadStatus = Annotated[LeadStatus | None, Query()]

_Key = Annotated[str, AfterValidator(_key), Field(json_schema_extra={"pattern": f"^{KEY}$"})]
RequiredKey = Annotated[_Key, Header(alias=IDEMPOTENCY_KEY)]
MaybeKey = Annotated[_Key | None, Header(alias=IDEMPOTENCY_KEY)]
