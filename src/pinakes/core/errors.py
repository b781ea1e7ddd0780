"""Every error the core raises: one tree, drawn here.

An error is named for what is wrong and carries the facts as attributes. Statuses and wire texts belong to the
APIs: each keeps one table from these classes to its own answers, looked up along the class's ancestors.

    PinakesError
     ├─ Invalid                  what was asked cannot be meant as it stands
     │   ├─ InvalidFields        one or more named fields, each with its reasons
     │   ├─ ContentMissing       no bytes were sent where bytes are required
     │   ├─ FormatUnsupported    the bytes are not of the kind this place takes
     │   ├─ DigestMismatch       the bytes are not those that were announced
     │   ├─ PictureTooLarge      more pixels are asked for than are made at once
     │   └─ ScopeInvalid         a scope text does not follow the grammar
     ├─ Unknown                  there is no such thing, or it may not be seen
     │   ├─ ImageUnknown  ClinicUnknown  StationUnknown  ClinicStationUnknown  PatientUnknown
     │   ├─ RegistrationUnknown  IdentifierUnknown
     │   ├─ NamespaceUnknown  InviteUnknown  CollaboratorUnknown
     │   ├─ UserUnknown  TokenUnknown  GroupUnknown
     │   ├─ VersionUnknown  TagUnknown  BookmarkUnknown  PatternUnknown  MembershipUnknown
     │   ├─ AnnotationUnknown  JobUnknown  StudyUnknown  RunUnknown  ModelUnknown  HeatMapUnknown
     │   ├─ NotAnImage           it has no pixels, or they cannot be read; says why
     │   ├─ TileUnknown  AssociatedUnknown
     │   ├─ ContentPending       it is there, but its bytes have not come yet
     │   └─ BlobUnknown          bytes that a row promises are not in the store
     ├─ Conflict                 it would contradict what is there
     │   ├─ NameTaken  UserExists  GroupExists  TagExists  PatientExists  AlreadyRegistered  IdentifierTaken
     │   ├─ InviteExists  AlreadyCollaborator  SelfInvite  AlreadyBookmarked  ModelExists
     │   ├─ ContentExists        the version has its bytes, which never change
     │   └─ WrongState           not while it is as it is; says how that is
     │       └─ ArrivalRefused   what was put into the inbox of a bucket cannot be taken as it is
     ├─ Refused                  the actor may not
     │   ├─ Unauthenticated      no valid credential
     │   ├─ BadLogin             name and password do not belong together
     │   ├─ TooManyAttempts      too many failed logins; carries seconds to wait
     │   ├─ KindMissing          the user lacks the image kind
     │   ├─ ScopeMissing         the token lacks the scope
     │   ├─ TooManyJobs          the user has as many waiting or running as they may
     │   ├─ UploadRefused        a posted form whose policy, or whose target, does not allow it
     │   └─ NotAllowed           visible, but not theirs to change
     ├─ TooLarge                 more bytes than the limit, or than the disk can hold
     ├─ UploadBroken             the body ended early or was malformed
     └─ Unavailable              try again later
         ├─ StorageFull          the store ran out of room midway
         ├─ StoreUnavailable     the content store does not answer
         ├─ DatabaseUnavailable  the database does not answer, or is busy beyond patience
         ├─ DecodingUnavailable  a picture took too long, or the process that decoded it died
         └─ SchemaMismatch       the database is of another version of Pinakes
"""

from collections.abc import Mapping, Sequence


class PinakesError(Exception):
    """Something went wrong in the archive."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self.args[0])


# -- Invalid ------------------------------------------------------------------------------------------------------


class Invalid(PinakesError):
    """The request is not valid."""


class InvalidFields(Invalid):
    """One or more fields are not valid."""

    def __init__(self, problems: Mapping[str, Sequence[str]]) -> None:
        self.problems = {field: tuple(reasons) for field, reasons in problems.items()}
        super().__init__("; ".join(f"{field}: {', '.join(reasons)}" for field, reasons in self.problems.items()))

    @classmethod
    def one(cls, field: str, reason: str) -> "InvalidFields":
        return cls({field: (reason,)})


class ContentMissing(Invalid):
    """The content is empty; send the bytes of the image."""


class FormatUnsupported(Invalid):
    """The content is not of a format accepted here."""

    def __init__(self, expected: str) -> None:
        self.expected = expected
        super().__init__(f"The content is not a {expected} file.")


class DigestMismatch(Invalid):
    """The content has another SHA-256 than was announced; nothing was kept."""


class PictureTooLarge(Invalid):
    """More pixels are asked for than are made at once."""


class ScopeInvalid(Invalid):
    """A scope is a list of resource:permission[,permission] items, separated by spaces."""


# -- Unknown ------------------------------------------------------------------------------------------------------


class Unknown(PinakesError):
    """There is no such thing."""


class ImageUnknown(Unknown):
    """There is no such image."""


class ClinicUnknown(Unknown):
    """There is no such clinic."""


class StationUnknown(Unknown):
    """There is no such station."""


class ClinicStationUnknown(Unknown):
    """There is no such clinic station."""


class PatientUnknown(Unknown):
    """There is no such patient."""


class RegistrationUnknown(Unknown):
    """There is no such registration."""


class IdentifierUnknown(Unknown):
    """There is no such identifier of a patient."""


class NamespaceUnknown(Unknown):
    """There is no such namespace."""


class InviteUnknown(Unknown):
    """There is no such invite."""


class CollaboratorUnknown(Unknown):
    """There is no such collaborator."""


class UserUnknown(Unknown):
    """There is no such user."""


class TokenUnknown(Unknown):
    """There is no such token."""


class GroupUnknown(Unknown):
    """There is no such group."""


class VersionUnknown(Unknown):
    """There is no such version."""


class TagUnknown(Unknown):
    """There is no such tag."""


class BookmarkUnknown(Unknown):
    """There is no such bookmark."""


class PatternUnknown(Unknown):
    """There is no such pattern."""


class MembershipUnknown(Unknown):
    """There is no such membership."""


class AnnotationUnknown(Unknown):
    """There is no such annotation."""


class JobUnknown(Unknown):
    """There is no such job."""


class StudyUnknown(Unknown):
    """There is no such study."""


class RunUnknown(Unknown):
    """There is no such run."""


class ModelUnknown(Unknown):
    """There is no such model."""


class HeatMapUnknown(Unknown):
    """There is no heat map of that run: it has not begun to score, or its scores are gone."""


class NotAnImage(Unknown):
    """The content has no pixels, or they cannot be read; the message says why."""


class TileUnknown(Unknown):
    """There is no such tile."""


class AssociatedUnknown(Unknown):
    """There is no such picture beside the image."""


class ContentPending(Unknown):
    """The content has not come yet."""


class BlobUnknown(Unknown):
    """The bytes are not in the content store."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"The content store has no object {key}.")


# -- Conflict -----------------------------------------------------------------------------------------------------


class Conflict(PinakesError):
    """It contradicts what is already there."""


class NameTaken(Conflict):
    """The name already exists."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()


class UserExists(Conflict):
    """A user of that name, e-mail or id already exists."""


class GroupExists(Conflict):
    """A group of that name already exists."""


class TagExists(Conflict):
    """A tag of that name already exists."""


class AlreadyBookmarked(Conflict):
    """The image is already bookmarked."""


class ModelExists(Conflict):
    """A model of that name and version is installed already."""


class ContentExists(Conflict):
    """The version has its content already, which never changes; make a new version."""


class WrongState(Conflict):
    """It cannot be done in the present state; the message says which that is."""


class ArrivalRefused(WrongState):
    """What was put into the inbox of a bucket cannot be taken as it is; code is S3's word for why."""

    def __init__(self, code: str, message: str | None = None) -> None:
        self.code = code
        super().__init__(message)


class PatientExists(Conflict):
    """A patient of the same name, date of birth and gender already exists."""


class AlreadyRegistered(Conflict):
    """The patient is already registered at this clinic today."""


class IdentifierTaken(Conflict):
    """The identifier belongs to another patient."""


class InviteExists(Conflict):
    """An invite was already sent."""


class AlreadyCollaborator(Conflict):
    """The user is already a collaborator."""


class SelfInvite(Conflict):
    """One cannot invite oneself."""


# -- Refused ------------------------------------------------------------------------------------------------------


class Refused(PinakesError):
    """The actor may not do this."""


class Unauthenticated(Refused):
    """A valid token is needed."""


class BadLogin(Refused):
    """The user name or the password is wrong."""

    def __init__(self, delay_seconds: float = 0.0) -> None:
        self.delay_seconds = delay_seconds  # how long the answer is to be held back, to slow guessing
        super().__init__()


class TooManyAttempts(Refused):
    """Too many failed attempts; wait and try again."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__()


class KindMissing(Refused):
    """The user has no access to images of this kind."""


class ScopeMissing(Refused):
    """The token's scope does not allow this."""


class TooManyJobs(Refused):
    """Too many jobs are waiting or running; let some end, or cancel them."""


class UploadRefused(Refused):
    """The form may not be posted; code is S3's word for why, details are further members of its answer."""

    def __init__(
        self, code: str = "AccessDenied", message: str | None = None, details: Mapping[str, str] | None = None
    ) -> None:
        self.code = code
        self.details = dict(details or {})
        super().__init__(message)


class NotAllowed(Refused):
    """The image can be seen but not changed by this user."""


# -- Bytes and machinery ------------------------------------------------------------------------------------------


class TooLarge(PinakesError):
    """The content is larger than what can be taken."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"The content is larger than the {limit_bytes} bytes that can be taken.")


class UploadBroken(PinakesError):
    """The body ended early or was malformed; nothing was kept."""


class Unavailable(PinakesError):
    """The archive cannot do this just now; try again later."""


class StorageFull(Unavailable):
    """The storage is full; nothing was kept."""


class StoreUnavailable(Unavailable):
    """The content store does not answer."""


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""


class DecodingUnavailable(Unavailable):
    """The picture could not be made: it took too long, or the process that decoded it died."""


class SchemaMismatch(Unavailable):
    """The database has another schema than this version of Pinakes; run `pinakes migrate`."""
