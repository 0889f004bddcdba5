"""Names and what they stand for: where methods are looked up. It knows no method and imports none.

Rows come from sources, which are asked when something is looked up for the first time, and from `register`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from acutance.errors import ConfigError, UnknownMethod
from acutance.settings import meant


class Row(Protocol):
    """What can be registered."""

    @property
    def name(self) -> str:
        """The name it is found by."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Further names."""
        ...


R = TypeVar("R", bound=Row)


class Registry(Generic[R]):
    """Rows by name.

    Example:
        >>> from types import SimpleNamespace
        >>> registry = Registry()
        >>> registry.provide(lambda: [SimpleNamespace(name="wiener", aliases=("w",))])
        >>> registry.find("w").name
        'wiener'
    """

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[R]]] = []
        self._rows: dict[str, R] = {}
        self._asked = 0
        self._lock = RLock()

    def provide(self, source: Callable[[], Iterable[R]]) -> None:
        """Add a source of rows. It is called once, when something is looked up."""
        self._sources.append(source)

    def register(self, row: R) -> R:
        """Add a row, and return it.

        Raises:
            ConfigError: its name, or an alias, is taken.
        """
        with self._lock:
            self._fill()
            self._add(row)
        return row

    def rows(self) -> Mapping[str, R]:
        """Every row by its name, sorted; it cannot be changed."""
        with self._lock:
            self._fill()
            return MappingProxyType(dict(sorted(self._rows.items())))

    def find(self, name: str) -> R:
        """The row of that name or alias.

        Raises:
            UnknownMethod: with the name that may have been meant.
        """
        rows = self.rows()
        for row in rows.values():
            if name == row.name or name in row.aliases:
                return row
        known = sorted(self.taken())
        raise UnknownMethod(f"there is no method {name!r}{meant(str(name), known)}; `acutance methods` lists them all")

    def taken(self) -> frozenset[str]:
        """Names and aliases of the rows so far."""
        return frozenset(name for row in self._rows.values() for name in (row.name, *row.aliases))

    def forget(self) -> None:
        """Drop all rows; the sources are asked again."""
        with self._lock:
            self._rows, self._asked = {}, 0

    def _fill(self) -> None:
        while self._asked < len(self._sources):
            source = self._sources[self._asked]
            self._asked += 1
            for row in source():
                self._add(row)

    def _add(self, row: R) -> None:
        double = self.taken() & {row.name, *row.aliases}
        if double:
            raise ConfigError(f"there is a method {min(double)!r} already")
        self._rows[row.name] = row


METHODS: Registry[Any] = Registry()
"""The methods; `acutance.methods.spec` has `register`, `find` and `catalogue` with their types."""
