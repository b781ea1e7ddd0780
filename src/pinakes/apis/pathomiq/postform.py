"""The form of an upload, read as it comes: fields first, then the file; what follows the file is dropped.

S3's form is not like others (pathomiq contract 5.2): what the fields say decides about the file, so they must all come
before it, they are few and small, and reading stops where the file begins until somebody has judged them.
"""

from typing import Final

from pinakes.apis.pathomiq.s3errors import FieldsTooLarge, FileMissing
from pinakes.core.errors import Invalid
from pinakes.core.presigned.forms import PostForm
from pinakes.web.feed import Sink
from pinakes.web.forms import PartHead, PartReader, text_of

MAX_FIELDS_BYTES: Final = 20_480
MAX_FIELDS: Final = 100
_FILE: Final = "file"
_MAX_HEAD_BYTES = MAX_FIELDS_BYTES + 8 * 1024  # with the head of the file's own part, which counts for itself


class PostFormReader:
    """`feed` it until there is a `form`, say where the file goes with `begin_file`, and `feed` it the rest.

    form: the fields, once the file begins.   offset: at which byte of the body its part begins.
    """

    def __init__(self, boundary: bytes) -> None:
        self.form: PostForm | None = None
        self._pairs: list[tuple[str, str]] = []
        self._name = ""
        self._value = bytearray()
        self._is_file = False
        self._is_file_complete = False
        self._sink: Sink | None = None
        self._early = bytearray()  # of the file, come together with the fields
        self._fed = 0
        self._reader = PartReader(boundary, self)

    @property
    def offset(self) -> int:
        return self._reader.part_offset

    def feed(self, piece: bytes | bytearray) -> None:
        """Raises Invalid for what is no form, FieldsTooLarge, and what the sink raises."""
        if self._is_file_complete:
            return
        self._reader.feed(piece)
        self._fed += len(piece)
        if self.form is None and self._fed > _MAX_HEAD_BYTES:
            raise FieldsTooLarge

    def begin_file(self, sink: Sink) -> None:
        """Where the file goes; what has come of it already goes there at once."""
        self._sink = sink
        if self._early:
            sink.write(self._early)
            self._early = bytearray()

    def close(self) -> None:
        """The body has ended. Raises FileMissing, FieldsTooLarge, or Invalid if the form ended too early."""
        if self._is_file_complete:
            return
        if not self._reader.is_complete:
            raise Invalid("The form ends before its closing boundary.")
        raise FieldsTooLarge if self._fed > MAX_FIELDS_BYTES else FileMissing

    def begin_part(self, head: PartHead) -> None:
        if self._is_file_complete:
            return
        if self._reader.part_offset > MAX_FIELDS_BYTES:
            raise FieldsTooLarge
        if head.name.lower() == _FILE:
            self._is_file = True
            self.form = PostForm.gather(self._pairs, head.file_name)
            return
        if len(self._pairs) == MAX_FIELDS:
            raise FieldsTooLarge
        self._name, self._value = head.name, bytearray()

    def take_data(self, piece: bytes) -> None:
        if self._is_file_complete:
            return
        if not self._is_file:
            self._value += piece
            if len(self._value) > MAX_FIELDS_BYTES:
                raise FieldsTooLarge
        elif self._sink is None:
            self._early += piece
        else:
            self._sink.write(piece)

    def end_part(self) -> None:
        if self._is_file:
            self._is_file_complete = True
        else:
            self._pairs.append((self._name, text_of(self._value)))
