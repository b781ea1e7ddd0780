"""The images: listing, making, showing, changing and deleting them, and their predictions (pathomiq contract 4)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.pathomiq.auth import Callers
from pinakes.apis.pathomiq.bodies import (
    Answers,
    number_of,
    optional_text_of,
    read_object,
    reference_of,
    text_of,
    user_id_of,
)
from pinakes.apis.pathomiq.representation import Json
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.errors import ImageUnknown, InvalidFields
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.core.slides.states import SlideStatus
from pinakes.web.api import ApiContext
from pinakes.web.paging import parse_id

_INTEGER = re.compile(r"-?[0-9]+")
_REFERENCES = {
    "patient_id": "patient_ref",
    "entity_id": "entity_ref",
    "workarea_id": "workarea_ref",
    "study_id": "study_ref",
}
_TEXTS = ("location", "description")
_ALIASES = {"workarea_id": "workarea", "study_id": "study"}


class Images:
    """`/Images` and what lies below it, but for sharing."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._slides = context.archive.slides
        self._runs = context.archive.runs
        self._uploads = context.archive.slide_uploads
        self._callers = callers
        self._answers = answers

    async def of_user(self, request: Request) -> Response:
        """The images that a user may see (contract 4.2)."""
        user_id = _user_id(request.path_params["user"])
        most, offset = number_of(request, "limit"), number_of(request, "offset")

        def found(actor: Actor) -> Response:  # rendered here too, since it has no pages
            slides, total = self._slides.of_user(actor, user_id, most=most, offset=offset or 0)
            images = [self._answers.image(request, slide) for slide in slides]
            return self._answers.json(images, {"X-Total-Count": str(total)})

        return await self._callers.read(request, found)

    async def by_user(self, request: Request) -> Response:
        """`/Users/imagelist`: the same for every user the caller may ask about (contract 4.1)."""

        def found(actor: Actor) -> Response:
            return self._answers.json(
                [
                    {"userid": user_id, "images": [self._answers.image(request, slide) for slide in slides]}
                    for user_id, slides in self._slides.by_user(actor)
                ]
            )

        return await self._callers.read(request, found)

    async def get(self, request: Request) -> Response:
        uid = request.path_params["image"]
        slide = await self._callers.glance(request, lambda actor: self._slides.get(actor, uid))
        return self._answers.json(self._answers.image(request, slide))

    async def create(self, request: Request) -> Response:
        """Make an image, and say where and how its bytes are to be sent (contract 4.6)."""
        await self._callers.permitted(request, Permission.WRITE)
        body = await read_object(request)
        new, presign = _new_slide(body), body.get("presign")
        self._uploads.check_presign(presign)

        def made(actor: Actor) -> Json:
            slide = self._slides.create(actor, new)
            return self._with_response(request, slide, presign)

        return self._answers.json(await self._callers.change(request, made))

    async def update(self, request: Request) -> Response:
        """Change what is said of an image (contract 4.8). One that waits for its bytes can be told so once more: then
        the answer says anew how to send them, in case the first permission has expired.
        """
        image_id = parse_id(request.path_params["image"])
        await self._callers.permitted(request, Permission.WRITE)
        body = await read_object(request)
        if image_id is None:
            raise ImageUnknown

        def changed(actor: Actor) -> Json:
            slide = self._slides.find_changeable(actor, image_id)
            fields, status = self._changes(request, slide, body)
            slide = self._answers.explained(
                request, actor, image_id, lambda: self._slides.update(actor, image_id, fields, status)
            )
            if status is SlideStatus.IN_PROGRESS:
                return self._with_response(request, slide, None)
            return self._answers.image(request, slide)

        return self._answers.json(await self._callers.change(request, changed))

    async def delete(self, request: Request) -> Response:
        uid = request.path_params["image"]
        await self._callers.change(request, lambda actor: self._slides.delete(actor, uid))
        return self._answers.done("The image was deleted.")

    async def start(self, request: Request) -> Response:
        """Queue a prediction; by GET too, because the seed says so (contract 4.3)."""
        return await self._predict(request, self._runs.start, "The prediction is queued.")

    async def stop(self, request: Request) -> Response:
        return await self._predict(request, self._runs.stop, "The prediction was stopped.")

    async def look(self, request: Request) -> Response:
        """HEAD where GET would start or stop something: whether the caller might, and nothing else."""
        uid = request.path_params["image"]

        def found(actor: Actor) -> Slide:
            require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
            return self._slides.find(actor, uid)

        slide = await self._callers.glance(request, found)
        return self._answers.json(self._answers.image(request, slide))

    async def _predict(self, request: Request, operation: Callable[[Actor, str], Slide], text: str) -> Response:
        uid = request.path_params["image"]

        def done(actor: Actor) -> Json:
            return self._answers.image(
                request, self._answers.explained(request, actor, uid, lambda: operation(actor, uid))
            )

        return self._answers.done(text, await self._callers.change(request, done))

    def _with_response(self, request: Request, slide: Slide, presign: object) -> Json:
        """The image, and how its bytes are to be sent (contract 4.6)."""
        response = self._uploads.presign(slide, self._answers.origin(request), presign)
        return {**self._answers.image(request, slide), "response": response}

    def _changes(
        self, request: Request, slide: Slide, body: Mapping[str, Any]
    ) -> tuple[dict[str, str | None], SlideStatus | None]:
        """What a PUT changes. Raises InvalidFields, also for another value of what only the server sets."""
        fields = {column: reference_of(body, name) for name, column in _REFERENCES.items() if name in body}
        fields |= {name: optional_text_of(body, name) for name in _TEXTS if name in body}
        for name, value in self._answers.image(request, slide).items():
            is_own = name in _REFERENCES or name in _TEXTS or name == "status"
            if not is_own and name in body and not _is_same(body[name], value):
                raise InvalidFields.one(name, "is set by the server")
        return fields, _status(body)


def _status(body: Mapping[str, Any]) -> SlideStatus | None:
    if "status" not in body:
        return None
    try:
        return SlideStatus(body["status"])
    except ValueError as exc:
        raise InvalidFields.one("status", f"must be one of {', '.join(SlideStatus)}") from exc


def _new_slide(body: Mapping[str, Any]) -> NewSlide:
    """Raises InvalidFields. `workarea` and `study` are other names of `workarea_id` and `study_id` (contract D4)."""
    references = {column: reference_of(body, name) for name, column in _REFERENCES.items()}
    for name, alias in _ALIASES.items():
        other = reference_of(body, alias)
        if references[_REFERENCES[name]] is None:
            references[_REFERENCES[name]] = other
    owner_id = None if body.get("userid") is None else user_id_of(body["userid"])
    return NewSlide(text_of(body, "filename"), owner_id, **references)


def _is_same(sent: Any, own: Any) -> bool:
    """Whether a client sent back what it was given; to Python `true` is 1."""
    return sent == own and isinstance(sent, bool) == isinstance(own, bool)


def _user_id(text: str) -> int:
    """An integer in a path; 0, who is nobody, for one that is nobody's. Raises InvalidFields for anything else."""
    if not _INTEGER.fullmatch(text):
        raise InvalidFields.one("userid", "must be an integer")
    return parse_id(text) or 0
