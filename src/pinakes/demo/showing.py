"""What a visitor of the demo is shown: where things are, and one line to paste for each protocol."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """A line for a shell, about one protocol.

    title: what it does.   command: the line itself, with `{address}` where the server's address belongs.
    digest: the SHA-256 that it prints; empty where it prints something else.
    """

    title: str
    command: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A loaded demo: its folder, and a line for each protocol that is at a path."""

    folder: Path
    lines: tuple[Line, ...]

    def text(self, address: str) -> str:
        """The text for a server at this address."""
        parts = [
            f"Pinakes is serving at {address}",
            f"Demo files are in {self.folder}, tokens in {self.folder / 'tokens'}.",
        ]
        for line in self.lines:
            promise = f"; sha256 {line.digest}" if line.digest else ""
            parts += ["", f"# {line.title}{promise}", line.command.replace("{address}", address)]
        return "\n".join(parts)


def tscharts_line(path: str, token: str, image_id: int, digest: str) -> Line:
    """A clinical image, out of its JSON."""
    take = f"curl -sS -H 'Authorization: Token {token}' '{{address}}{path}/image/{image_id}/'"
    decode = """sed 's/.*"data": *"//; s/".*//' | base64 -d | sha256sum"""
    return Line("tscharts: a photograph of a patient, out of its JSON", f"{take} | {decode}", digest)


def djinn_line(path: str, token: str, image_id: int, digest: str) -> Line:
    """A disk image, streamed."""
    headers = f"-H 'Authorization: Bearer {token}' -H 'Accept: application/octet-stream'"
    command = f"curl -sS {headers} '{{address}}{path}/images/{image_id}' | sha256sum"
    return Line("Djinn CI: a disk image in qcow2", command, digest)


def atmosphere_line(path: str) -> Line:
    """A search in the public catalogue, without a token."""
    title = "Atmosphere: the public images that a search finds, as JSON"
    return Line(title, f"curl -sS '{{address}}{path}/api/v2/images?search=demo'")


def pathomiq_line(path: str, token: str, uid: str, digest: str) -> Line:
    """A slide, as it was uploaded."""
    command = f"curl -sS -H 'Authorization: Bearer {token}' '{{address}}{path}/S3/file/{uid}' | sha256sum"
    return Line("PathomIQ: a slide, as it was uploaded", command, digest)
