"""Methods of clients made of calls: one line serves the blocking and the asynchronous client, so they cannot drift apart."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, overload

from estampe.client import terminals, transport
from estampe.client.call import Call, Listing, Opening, Watch
from estampe.schemas import operation

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")
_Page = TypeVar("_Page")
_Item = TypeVar("_Item")


def _bind(describe: Callable[..., Any], send: Callable[[Any], Any]) -> Callable[..., Any]:
    """What `describe` says, sent; with its name, its parameters and its docstring."""

    @functools.wraps(describe)
    def method(*positional: Any, **named: Any) -> Any:
        return send(describe(*positional, **named))

    return method


class Ask(Generic[_Parameters, _Answer]):
    """A method that gives one answer: itself of a blocking client, an awaitable of an asynchronous one."""

    def __init__(self, describe: Callable[_Parameters, Call[_Answer]]) -> None:
        self.describe = describe

    @overload
    def __get__(self, client: transport.Blocking, owner: object) -> Callable[_Parameters, _Answer]: ...
    @overload
    def __get__(self, client: transport.Awaiting, owner: object) -> Callable[_Parameters, Awaitable[_Answer]]: ...
    def __get__(self, client: transport.Blocking | transport.Awaiting, owner: object) -> Callable[..., Any]:
        """The method."""
        return _bind(self.describe, client.do)


class Each(Generic[_Parameters, _Page, _Item]):
    """A method that gives the items of a list, with all its pages: an iterator or an asynchronous one."""

    def __init__(self, describe: Callable[_Parameters, Listing[_Page, _Item]]) -> None:
        self.describe = describe

    @overload
    def __get__(self, client: transport.Blocking, owner: object) -> Callable[_Parameters, Iterator[_Item]]: ...
    @overload
    def __get__(self, client: transport.Awaiting, owner: object) -> Callable[_Parameters, AsyncIterator[_Item]]: ...
    def __get__(self, client: transport.Blocking | transport.Awaiting, owner: object) -> Callable[..., Any]:
        """The method."""
        return _bind(self.describe, client.list)


class Open(Generic[_Parameters]):
    """A method that opens a server's screen or serial console: itself of a blocking client, an awaitable of an asynchronous one."""

    def __init__(self, describe: Callable[_Parameters, Opening]) -> None:
        self.describe = describe

    @overload
    def __get__(self, client: transport.Blocking, owner: object) -> Callable[_Parameters, terminals.Terminal]: ...
    @overload
    def __get__(
        self, client: transport.Awaiting, owner: object
    ) -> Callable[_Parameters, Awaitable[terminals.AsyncTerminal]]: ...
    def __get__(self, client: transport.Blocking | transport.Awaiting, owner: object) -> Callable[..., Any]:
        """The method."""
        return _bind(self.describe, client.open)


class Follow(Generic[_Parameters]):
    """A method that gives the states of an operation as they come: an iterator or an asynchronous one."""

    def __init__(self, describe: Callable[_Parameters, Watch]) -> None:
        self.describe = describe

    @overload
    def __get__(
        self, client: transport.Blocking, owner: object
    ) -> Callable[_Parameters, Iterator[operation.Operation]]: ...
    @overload
    def __get__(
        self, client: transport.Awaiting, owner: object
    ) -> Callable[_Parameters, AsyncIterator[operation.Operation]]: ...
    def __get__(self, client: transport.Blocking | transport.Awaiting, owner: object) -> Callable[..., Any]:
        """The method."""
        return _bind(self.describe, client.watch)
