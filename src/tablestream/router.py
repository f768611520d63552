"""`Router`: decides which handlers get a change, on raw type tags, before anything is converted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tablestream.change import Change, Kind, RawImage, RawRecord, is_replication_only, same_value
from tablestream.errors import ConfigurationError, InvalidRecord, describe
from tablestream.sink import check_parameters, is_lazy, name_of

Handler = Callable[[Change], Any]
"""A pure function of a change that returns None, one effect, or an iterable of effects."""

Decorator = Callable[[Handler], Handler]


class Route(NamedTuple):
    """Handlers that get a change, and the kind that they are told it is."""

    kind: Kind
    handlers: tuple[Handler, ...]


class _Registered(NamedTuple):
    """A handler as it was registered."""

    kind: Kind
    entity: str | None
    """The entity type it is for; None for any item."""
    changed: tuple[str, ...]
    """The attributes of which one must differ; none for every change."""
    handler: Handler


class _Wanted(NamedTuple):
    """The handlers of a kind and an entity."""

    registered: Sequence[_Registered]
    routes: Sequence[Route]
    """All of them as routes."""
    conditional: bool
    """Whether some want a change only when certain attributes differ."""


_NOTHING: Sequence[Route] = ()


class Router:
    """Maps the kind of a change, and the type of its entity where the table holds several, to handlers.

    Several handlers can be registered for one kind and entity; they are called in the order of registration. An item
    that becomes another entity (a MODIFY whose images name different ones) is the removal of the one for its handlers,
    and the insertion of the other.
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
        self._registered: list[_Registered] = []
        self._found: dict[tuple[str, str | None], _Wanted] = {}
        """The handlers by the name of the kind and the entity, of those that were asked for."""

    def on_insert(self, entity: str | None = None) -> Decorator:
        """Register the decorated handler for new items of an entity type; without one, for all new items."""
        return self._register(Kind.INSERT, entity, ())

    def on_modify(self, entity: str | None = None, *, changed: Sequence[str] = ()) -> Decorator:
        """Register the decorated handler for modified items of an entity type; without one, for all modified items.

        `changed` names attributes; the handler gets the change when at least one of them differs. None named: every
        change, but for one that only sets the attributes `aws:rep:…` of a global table.
        """
        given: Any = changed  # as somebody may write it who uses no type checker
        if not isinstance(given, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in given):
            raise ConfigurationError(f"changed wants a sequence of attribute names, got {describe(given)}")
        return self._register(Kind.MODIFY, entity, tuple(given))

    def on_remove(self, entity: str | None = None) -> Decorator:
        """Register the decorated handler for removed items of an entity type; without one, for all removed items.

        The old image tells the type.
        """
        return self._register(Kind.REMOVE, entity, ())

    def include(self, other: Router) -> None:
        """Add the handlers of another router behind those that are registered here.

        Raises `ConfigurationError` when the two look for the entity type in different attributes, or are one.
        """
        given: Any = other  # as somebody may write it who uses no type checker
        if not isinstance(given, Router):
            raise ConfigurationError(f"include wanted a Router, got a {type(given).__name__}")
        if other is self:
            raise ConfigurationError("include wanted another Router, got the same: its handlers would run twice")
        if other._attribute != self._attribute:
            raise ConfigurationError(
                f"wanted a router with the entity attribute {self._attribute}, got one with {other._attribute}"
            )
        self._registered += other._registered
        self._key_prefixes |= other._key_prefixes
        self._found.clear()

    @property
    def is_empty(self) -> bool:
        """Whether no handler is registered."""
        return not self._registered

    def _register(self, kind: Kind, entity: str | None, changed: tuple[str, ...]) -> Decorator:
        name = f"on_{kind.value.lower()}"
        if entity is not None and not isinstance(entity, str):
            raise ConfigurationError(
                f"{name} wanted the entity's type as text, or nothing, got {_instead(entity, name)}"
            )

        def decorate(handler: Handler) -> Handler:
            if not callable(handler):
                raise ConfigurationError(f"{name} wanted a function of a change, got {type(handler).__name__}")
            if is_lazy(handler) and not inspect.isgeneratorfunction(handler):
                raise ConfigurationError(
                    f"{name} wanted a plain function, got an async one: {name_of(handler)} would never run"
                )
            check_parameters(name, handler, "the change")
            self._registered.append(_Registered(kind, entity, changed, handler))
            self._found.clear()
            return handler

        return decorate

    def routes(self, record: RawRecord) -> Sequence[Route]:
        """Return the handlers of a raw record by the kind of change that they get, none when nobody wants it.

        Raises `InvalidRecord` for a record that somebody would want, if it were not malformed.
        """
        stream = record["dynamodb"]
        attribute = self._attribute
        try:
            name = record["eventName"]
            old = new = stream["OldImage" if name == "REMOVE" else "NewImage"]
            if name == "MODIFY":
                old = stream["OldImage"]
            kind = _KINDS[name]
            entity = _entity(new, attribute)
            before = entity if old is new else _entity(old, attribute)
        except (KeyError, TypeError, AttributeError):
            self._refuse(record)
            return _NOTHING
        if entity is None:
            self._refuse_by_key(stream)
        if entity != before:
            return self._became(entity, before, stream)
        registered, routes, conditional = self._found.get((name, entity)) or self._wanted(kind, entity)
        if not conditional and (old is new or not _is_replica(new)):
            return routes
        found = [one.handler for one in registered if _concerns(one, new, old)]
        if len(found) == len(registered):
            return routes
        return (Route(kind, tuple(found)),) if found else _NOTHING

    def _became(self, entity: str | None, before: str | None, stream: Mapping[str, Any]) -> Sequence[Route]:
        """Return the routes of an item that was another entity before, or none that its image tells."""
        new, old = stream["NewImage"], stream["OldImage"]
        of_any = [one.handler for one in self._wanted(Kind.MODIFY, None).registered if _concerns(one, new, old)]
        routes = (
            Route(Kind.REMOVE, self._only_for(Kind.REMOVE, before)),
            Route(Kind.INSERT, self._only_for(Kind.INSERT, entity)),
            Route(Kind.MODIFY, tuple(of_any)),
        )
        return [route for route in routes if route.handlers]

    def _only_for(self, kind: Kind, entity: str | None) -> tuple[Handler, ...]:
        """Return the handlers of a kind that are registered for an entity by name."""
        return tuple([one.handler for one in self._wanted(kind, entity).registered if one.entity is not None])

    def _wanted(self, kind: Kind, entity: str | None) -> _Wanted:
        """Return the handlers of a kind and an entity."""
        registered = [one for one in self._registered if one.kind is kind and one.entity in {None, entity}]
        routes = (Route(kind, tuple([one.handler for one in registered])),) if registered else _NOTHING
        wanted = _Wanted(registered, routes, any(one.changed for one in registered))
        if entity is None or any(one.entity == entity for one in self._registered):
            self._found[kind.value, entity] = wanted  # for names that are registered: others are without end
        return wanted

    def _refuse(self, record: RawRecord) -> None:
        """Say what is wrong with a record that lacks its event name or an image, if somebody would want it."""
        stream = record["dynamodb"]
        name = record.get("eventName")
        if type(name) is str and name in _KINDS:
            raise InvalidRecord(f"{name} without the images that the view type NEW_AND_OLD_IMAGES gives it")
        entities = {
            _entity(image, self._attribute)
            for image in (stream.get("NewImage"), stream.get("OldImage"))
            if type(image) is dict
        }
        wanted = {one.entity for one in self._registered}
        if None in wanted or entities & wanted or self._entity_of_key(stream.get("Keys")) is not None:
            raise InvalidRecord(f"wanted eventName INSERT, MODIFY or REMOVE, got {describe(name)}")

    def _refuse_by_key(self, stream: Mapping[str, Any]) -> None:
        """Refuse an item whose key is that of an entity, but which does not say that it is one."""
        if self._key_prefixes:
            entity = self._entity_of_key(stream.get("Keys"))
            if entity is not None:
                raise InvalidRecord(
                    f"the key is that of a {entity}, but the attribute {self._attribute} does not say so"
                )

    def _entity_of_key(self, keys: object) -> str | None:
        if type(keys) is not dict:
            return None
        for entity, (name, prefix) in self._key_prefixes.items():
            tagged = keys.get(name)
            value = tagged.get("S") if type(tagged) is dict else None
            if type(value) is str and value.startswith(prefix):
                return entity
        return None


def _instead(came: object, name: str) -> str:
    """Say what came in place of an entity's type, and what to write."""
    kind = type(came).__name__
    if isinstance(came, type):
        return f'the class {came.__name__}: write @worker.{name}("{came.__name__}")'
    return f"{kind}: write @worker.{name}()" + (" with parentheses" if callable(came) else ", or with a name in it")


_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}


def _entity(image: RawImage, attribute: str) -> str | None:
    """Return the entity type that an image names, None when it names none; raises `TypeError` for what is no image."""
    tagged = image.get(attribute)
    if type(tagged) is not dict or len(tagged) != 1:
        if type(image) is not dict:
            raise TypeError("no image")
        return None
    entity = tagged.get("S")
    return entity if type(entity) is str else None


def _is_replica(new: RawImage) -> bool:
    return "aws:rep:updatetime" in new or "aws:rep:updateregion" in new


def _concerns(one: _Registered, new: RawImage, old: RawImage) -> bool:
    """Tell whether a handler wants a modification; raises `InvalidRecord` for images that cannot be compared."""
    try:
        if not one.changed:
            return not (_is_replica(new) and is_replication_only(new, old))
        for name in one.changed:
            value, before = new.get(name), old.get(name)
            if value != before and not same_value(value, before):
                return True
    except RecursionError:  # nested deeper than DynamoDB allows; raised further it would stop the shard
        raise InvalidRecord("nested too deeply to be compared") from None
    return False
