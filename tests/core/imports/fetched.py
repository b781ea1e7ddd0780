"""Fetching into memory, with limits that tests can wait for."""

import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_network

from pinakes.core.imports.connections import Resolved, Resolver, resolve
from pinakes.core.imports.fetching import Fetcher
from pinakes.core.imports.sources import parse_source
from pinakes.core.imports.transfer import ImportLimits

LIMITS = ImportLimits(allowed=(ip_network("127.0.0.0/8"),), total_seconds=10, idle_seconds=5)


class Stopped(BaseException):
    """What a check raises when the transfer is not wanted any more."""


class Kept:
    """A receiver that keeps everything in memory."""

    def __init__(self) -> None:
        self.expected: list[int | None] = []
        self.content = bytearray()

    def expect(self, size_bytes: int | None) -> None:
        self.expected.append(size_bytes)

    def write(self, piece: bytes) -> None:
        self.content += piece


def fetch(
    url: str,
    *,
    limits: ImportLimits = LIMITS,
    resolver: Resolver = resolve,
    context: ssl.SSLContext | None = None,
    check: Callable[[], None] = lambda: None,
    into: Kept | None = None,
) -> Kept:
    """What came. Raises FetchFailed."""
    kept = into or Kept()
    Fetcher(limits, resolver=resolver, context=context).fetch(parse_source(url), kept, check)
    return kept


def impatient(**seconds: float) -> ImportLimits:
    """Limits with shorter times: total_seconds, idle_seconds."""
    return replace(LIMITS, **seconds)  # type: ignore[arg-type]


def stop_after(seconds: float) -> Callable[[], None]:
    """A check that stops the transfer after a while."""
    end = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() >= end:
            raise Stopped

    return check


def naming(*addresses: str) -> Resolver:
    """A resolver that gives every name these addresses."""
    return in_turn(itertools.repeat(addresses))


def in_turn(answers: Iterable[Sequence[str]]) -> Resolver:
    """A resolver that gives the next answer each time it is asked, and takes it off the list."""

    def resolver(host: str, port: int) -> Resolved:
        found = answers.pop(0) if isinstance(answers, list) else next(iter(answers))
        return [entry for address in found for entry in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)]

    return resolver
