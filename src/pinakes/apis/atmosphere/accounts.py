"""`/auth`, `/tokens`, `/access_tokens`, `/users` and `/profile` (atmosphere contract A1 to A5)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere import companions
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import API_NAME, Callers, require_login
from pinakes.apis.atmosphere.basics import timestamp
from pinakes.apis.atmosphere.members import Members
from pinakes.apis.atmosphere.requests import filters, key_of, read_object
from pinakes.core.access.credentials import LOGIN_IDLE_US, Token
from pinakes.core.access.directory import Entry
from pinakes.core.access.profiles import Profile
from pinakes.core.actor import Actor, Kind
from pinakes.core.catalogue.changes import Unchanged
from pinakes.core.errors import BadLogin, KindMissing, TokenUnknown, TooManyAttempts
from pinakes.core.page import PageRequest
from pinakes.web.api import ApiContext
from pinakes.web.logins import log_in


class Login:
    """Tokens for names and passwords."""

    def __init__(self, context: ApiContext, answers: Answers) -> None:
        self._context = context
        self._clock = context.archive.clock
        self._max_json_bytes = context.max_json_bytes
        self._answers = answers

    async def login(self, request: Request) -> Response:
        """Contract A3. Whatever is wrong with name or password is answered alike. No Authorization header counts."""
        body = await read_object(request, self._max_json_bytes)
        name, password = body.get("username"), body.get("password")
        if not isinstance(name, str) or not isinstance(password, str) or not name or not password:
            return self._refuse("A username and a password are needed.")
        try:
            actor, token = await log_in(self._context, request, API_NAME, name, password, kind=Kind.MACHINE)
        except (BadLogin, KindMissing):
            return self._refuse(BadLogin().message)
        except TooManyAttempts as error:
            return self._refuse(error.message, 429, {"Retry-After": str(error.retry_after_seconds)})
        expires = timestamp(self._clock() + LOGIN_IDLE_US)
        return self._answers.json({"token": token, "username": actor.name, "expires": expires}, 201)

    def _refuse(self, message: str, status: int = 400, headers: dict[str, str] | None = None) -> Response:
        response = self._answers.json({"errors": [{"code": status, "message": message}]}, status)
        response.headers.update(headers or {})
        return response


class Tokens:
    """The caller's own tokens, whatever they were made for; their keys cannot be told again."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._tokens = context.archive.own_tokens
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        return await self._answers.listing(
            self._callers,
            request,
            self._tokens.list,
            lambda token, view: companions.token(token, view.actor.name, view.base),
            needs_login=True,
        )

    async def get(self, request: Request) -> Response:
        def find(actor: Actor) -> tuple[Actor, Token]:
            return require_login(actor), self._tokens.get(actor, _token_id(request))

        actor, found = await self._callers.glance(request, find)
        return self._answers.json(companions.token(found, actor.name, self._answers.base(request)))


class AccessTokens:
    """Tokens that users make for their own programs."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._tokens = context.archive.own_tokens
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        return await self._answers.listing(
            self._callers,
            request,
            self._tokens.list_access,
            lambda token, _: companions.access_token(token),
            needs_login=True,
        )

    async def get(self, request: Request) -> Response:
        found = await self._callers.glance(
            request, lambda actor: self._tokens.get_access(require_login(actor), _token_id(request))
        )
        return self._answers.json(companions.access_token(found))

    async def create(self, request: Request) -> Response:
        """The only answer that holds the key."""
        actor = await self._callers.user(request)
        name = _name(await read_object(request, self._max_json_bytes))
        made = await self._callers.change_as(actor, lambda actor: self._tokens.create_access(actor, name))
        return self._answers.json({"token": made.text, **companions.access_token(made.token)}, 201)

    async def rename(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        token_id = _token_id(request)
        name = _name(await read_object(request, self._max_json_bytes))
        made = await self._callers.change_as(actor, lambda actor: self._tokens.rename_access(actor, token_id, name))
        return self._answers.json(companions.access_token(made))

    async def delete(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        token_id = _token_id(request)
        await self._callers.change_as(actor, lambda actor: self._tokens.revoke_access(actor, token_id))
        return self._answers.nothing()


class Users:
    """Whom one may share with."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._directory = context.archive.directory
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        prefix = filters(request).get("search", "")
        return await self._answers.listing(
            self._callers,
            request,
            lambda actor, page: self._directory.list(actor, PageRequest(page.number, page.size, prefix)),
            lambda user, view: companions.account(user, view.base, is_staff=view.actor.is_staff),
            needs_login=True,
        )

    async def get(self, request: Request) -> Response:
        def find(actor: Actor) -> tuple[Actor, Entry]:
            return require_login(actor), self._directory.get(actor, key_of(request))

        actor, found = await self._callers.glance(request, find)
        return self._answers.json(companions.account(found, self._answers.base(request), is_staff=actor.is_staff))


class Profiles:
    """What the caller has chosen for themselves."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._profiles = context.archive.profiles
        self._directory = context.archive.directory
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def get(self, request: Request) -> Response:
        who, found = await self._callers.glance(
            request, lambda actor: (self._directory.own(require_login(actor)), self._profiles.get(actor))
        )
        return self._show(request, who, found)

    async def update(self, request: Request) -> Response:
        """Members that are not to be written are ignored."""
        actor = await self._callers.user(request)
        sends_emails, icon_set = _choices(await read_object(request, self._max_json_bytes))

        def change(actor: Actor) -> tuple[Entry, Profile]:
            changed = self._profiles.update(actor, sends_emails=sends_emails, icon_set=icon_set)
            return self._directory.own(actor), changed

        who, made = await self._callers.change_as(actor, change)
        return self._show(request, who, made)

    def _show(self, request: Request, who: Entry, profile: Profile) -> Response:
        return self._answers.json(companions.profile(profile, who, self._answers.base(request)))


def _token_id(request: Request) -> int:
    """Raises TokenUnknown, Unknown: tokens have no uuid."""
    token_id = key_of(request)
    if not isinstance(token_id, int):
        raise TokenUnknown
    return token_id


def _name(body: dict[str, Any]) -> str:
    """Raises InvalidFields."""
    members = Members(body)
    name = members.text("name", is_required=True)
    members.check()
    assert not isinstance(name, Unchanged)
    return name


def _choices(body: dict[str, Any]) -> tuple[bool | None, str | None]:
    """Whether e-mail may be sent, and the icon set; None for what stays. Raises InvalidFields."""
    members = Members(body)
    sends_emails, icon_set = members.flag("send_emails"), members.text("icon_set")
    members.check()
    return (
        None if isinstance(sends_emails, Unchanged) else sends_emails,
        None if isinstance(icon_set, Unchanged) else icon_set,
    )
