"""Open pictures, the last few that were asked for: opening a slide takes longer than reading a tile of it."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pinakes.imaging.decoding.requests import Distant, NoSuchPart
from pinakes.imaging.source import ImageSource

File = str | Distant
"""Its path, or what is to be known of one that has none."""

Opener = Callable[[File], ImageSource]


class WarmSources:
    """At most `most` open sources, by key. For one thread."""

    def __init__(self, opener: Opener, most: int) -> None:
        self._opener = opener
        self._most = most
        self._open: OrderedDict[str, tuple[File, ImageSource]] = OrderedDict()  # the latest last

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def source(self, file: File, key: str) -> Iterator[ImageSource]:
        """An open source, kept for the next one who asks by the same key and file, unless this use of it fails.

        To ask for what it has not is no failure: NoSuchPart leaves it open.

        Raises what the opener raises.
        """
        source = self._taken(file, key)
        try:
            yield source
        except NoSuchPart:
            self._keep(file, key, source)
            raise
        except BaseException:
            _close(source)
            raise
        self._keep(file, key, source)

    def clear(self) -> bool:
        """Close all; whether there were any."""
        dropped = bool(self._open)
        self._drop_to(0)
        return dropped

    def _taken(self, file: File, key: str) -> ImageSource:
        held = self._open.pop(key, None)
        if held is not None and held[0] == file:
            return held[1]
        if held is not None:
            _close(held[1])
        return self._opener(file)

    def _keep(self, file: File, key: str, source: ImageSource) -> None:
        if key:
            self._open[key] = (file, source)
            self._drop_to(self._most)
        else:
            _close(source)

    def _drop_to(self, count: int) -> None:
        while len(self._open) > count:
            _, (_, source) = self._open.popitem(last=False)
            _close(source)


def _close(source: ImageSource) -> None:
    with suppress(Exception):  # what was read from it is none the worse
        source.close()
