"""`Router`: which handlers get a change, decided on raw type tags before anything is converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from tablestream.change import Change, Kind, RawRecord
from tablestream.errors import ConfigurationError, InvalidRecord, describe
from tablestream.image import same_value

Handler = Callable[[Change], Any]
"""A pure function of a change that returns None, one effect, or an iterable of effects."""

Decorator = Callable[[Handler], Handler]


class _Routes(NamedTuple):
    """Handlers that one condition decides on, in the order of registration."""

    handlers: tuple[Handler, ...]
    changed: tuple[str, ...]
    """The attributes of which one must differ; none for every change."""


class _Kind(NamedTuple):
    """A kind of change: the image that tells what the item is, the oldest image that it has, and routes by entity."""

    image: str
    before: str
    routes: dict[str, list[_Routes]]


_IMAGES = {
    Kind.INSERT: ("NewImage", "NewImage"),
    Kind.MODIFY: ("NewImage", "OldImage"),
    Kind.REMOVE: ("OldImage", "OldImage"),
}
_NOBODY: Sequence[_Routes] = ()


class Router:
    """Maps the kind of a change and the type of its entity to handlers.

    Several handlers can be registered for one kind and entity; they are called in the order of registration.
    """

    def __init__(
        self,
        entity_attribute: str = "entityType",
        key_prefixes: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """Take the name of the attribute that tells an item's entity type, a string.

        `key_prefixes` says how keys of an entity begin, `{"Order": ("sk", "ORDER#")}`: an item with such a key that
        has no entity type is poison rather than somebody else's item.
        """
        self._attribute = entity_attribute
        self._key_prefixes = dict(key_prefixes or {})
        self._kinds: dict[str, _Kind] = {kind.value: _Kind(*_IMAGES[kind], {}) for kind in Kind}

    def on_insert(self, entity: str) -> Decorator:
        """Register the decorated handler for new items of an entity type."""
        return self._register(Kind.INSERT, entity, ())

    def on_modify(self, entity: str, *, changed: Sequence[str] = ()) -> Decorator:
        """Register the decorated handler for modified items of an entity type.

        `changed` names attributes; the handler gets the change when at least one of them differs. None named: every
        change.
        """
        if isinstance(changed, str):
            raise ConfigurationError(f"changed wants a sequence of attribute names, got the text {changed!r}")
        return self._register(Kind.MODIFY, entity, tuple(changed))

    def on_remove(self, entity: str) -> Decorator:
        """Register the decorated handler for removed items of an entity type; the old image tells the type."""
        return self._register(Kind.REMOVE, entity, ())

    def _register(self, kind: Kind, entity: str, changed: tuple[str, ...]) -> Decorator:
        def decorate(handler: Handler) -> Handler:
            routes = self._kinds[kind.value].routes.setdefault(entity, [])
            if routes and routes[-1].changed == changed:
                routes[-1] = _Routes((*routes[-1].handlers, handler), changed)
            else:
                routes.append(_Routes((handler,), changed))
            return handler

        return decorate

    def handlers(self, record: RawRecord) -> Iterable[Handler]:
        """Return the handlers of a raw record, none when nobody wants it.

        Raises `InvalidRecord` for a record that somebody would want, if it were not malformed.
        """
        stream = record["dynamodb"]
        try:
            image, before, routes_of = self._kinds[record["eventName"]]
            tagged = stream[image][self._attribute]
            entity = tagged["S"]
            found = routes_of.get(entity, _NOBODY)
            plain = len(tagged) == 1 and type(entity) is str and type(stream[before]) is dict
        except (KeyError, TypeError):
            plain, found = False, _NOBODY
        if not plain:
            self._refuse(record)
            return ()
        if not found:
            return ()
        if len(found) == 1:
            routes = found[0]
            return routes.handlers if not routes.changed or _differs(stream, routes.changed) else ()
        wanted = [routes.handlers for routes in found if not routes.changed or _differs(stream, routes.changed)]
        return tuple(chain.from_iterable(wanted))

    def _refuse(self, record: RawRecord) -> None:
        """Say what is wrong with a record that is not plain, if it is one that somebody would want."""
        stream = record["dynamodb"]
        name = record.get("eventName")
        kind = self._kinds.get(name) if type(name) is str else None
        if kind is None:
            self._refuse_kind(record)
            return
        if type(stream.get(kind.image)) is not dict or type(stream.get(kind.before)) is not dict:
            raise InvalidRecord(f"{name} without the images that the view type NEW_AND_OLD_IMAGES gives it")
        entity = self._entity_of_key(stream.get("Keys"))
        if entity is not None:
            raise InvalidRecord(f"the key is that of a {entity}, but the attribute {self._attribute} does not say so")

    def _entity(self, image: Mapping[str, Any]) -> str | None:
        tagged = image.get(self._attribute)
        if type(tagged) is not dict or len(tagged) != 1:
            return None
        entity = tagged.get("S")
        return entity if type(entity) is str else None

    def _entity_of_key(self, keys: object) -> str | None:
        if type(keys) is not dict:
            return None
        for entity, (name, prefix) in self._key_prefixes.items():
            tagged = keys.get(name)
            value = tagged.get("S") if type(tagged) is dict else None
            if type(value) is str and value.startswith(prefix):
                return entity
        return None

    def _refuse_kind(self, record: RawRecord) -> None:
        stream = record["dynamodb"]
        entities = {
            self._entity(image) for image in (stream.get("NewImage"), stream.get("OldImage")) if type(image) is dict
        }
        wanted = {entity for kind in self._kinds.values() for entity in kind.routes}
        if entities & wanted or self._entity_of_key(stream.get("Keys")) is not None:
            raise InvalidRecord(f"wanted eventName INSERT, MODIFY or REMOVE, got {describe(record.get('eventName'))}")


def _differs(stream: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    new, old = stream["NewImage"], stream["OldImage"]
    try:
        for name in names:
            one, other = new.get(name), old.get(name)
            if one != other and not same_value(one, other):
                return True
    except RecursionError:  # nested deeper than DynamoDB allows; raised further it would stop the shard
        raise InvalidRecord("nested too deeply to be compared") from None
    return False
