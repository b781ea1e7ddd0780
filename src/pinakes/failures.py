"""What the entrances say when they cannot go on."""


class Failed(Exception):
    """The program cannot do what it was told. The message is one clear line and holds no secret."""


def explain(error: Exception) -> list[str]:
    """The lines to show for an error: one for what can be expected, types and places for a fault of ours."""
    from pinakes.config import SettingsInvalid
    from pinakes.core.errors import InvalidFields, PinakesError
    from pinakes.web.faults import describe

    if isinstance(error, SettingsInvalid):
        return error.problems
    if isinstance(error, InvalidFields):
        return [f"{field}: {reason}" for field, reasons in error.problems.items() for reason in reasons]
    if isinstance(error, Failed | PinakesError):
        return [str(error)]
    return ["this is a fault of Pinakes; please report it with the lines below", *describe(error).splitlines()]
