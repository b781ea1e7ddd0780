"""Fetching a file from wherever its URL says."""

import ssl
from collections.abc import Callable

from pinakes.core.imports import over_http
from pinakes.core.imports.addresses import AddressPolicy
from pinakes.core.imports.connections import Dialer, Resolver, resolve
from pinakes.core.imports.sources import Source
from pinakes.core.imports.transfer import ImportLimits, Receiver, Watch


class Fetcher:
    """Fetches within limits. context: which certificates are believed; None for what the system believes."""

    def __init__(
        self, limits: ImportLimits, *, resolver: Resolver = resolve, context: ssl.SSLContext | None = None
    ) -> None:
        self._limits = limits
        self._policy = AddressPolicy(limits.allowed)
        self._resolver = resolver
        self._context = context

    def fetch(self, source: Source, receiver: Receiver, check: Callable[[], None]) -> None:
        """Give the file to the receiver, piece by piece, in this thread.

        check: called at least every half second; what it raises ends the transfer.
        Raises FetchFailed, and what the receiver raises.
        """
        watch = Watch(check, self._limits)
        dialer = Dialer(self._policy, watch, self._resolver)
        if source.scheme == "sftp":
            from pinakes.core.imports import over_sftp  # it takes long to load, and only a worker ever needs it

            over_sftp.fetch(source, receiver, dialer, watch, self._limits)
        else:
            over_http.fetch(source, receiver, dialer, watch, self._context)
