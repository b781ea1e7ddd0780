"""What a visitor of the demo is shown: where things are, and one line to paste for each protocol."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A loaded demo.

    The lines take an image out and print the SHA-256 of what came; beside each stands that of what went in.
    tscharts_path, djinn_path: where the APIs are; None for one that is at no path.
    """

    folder: Path
    tscharts_path: str | None
    djinn_path: str | None
    volunteer_token: str
    runner_token: str
    photograph_id: int
    photograph_digest: str
    disk_id: int
    disk_digest: str

    def text(self, address: str) -> str:
        """The text for a server at this address."""
        parts = [
            f"Pinakes is serving at {address}",
            f"Demo files are in {self.folder}, tokens in {self.folder / 'tokens'}.",
        ]
        for title, digest, line in self.lines(address):
            parts += ["", f"# {title}; sha256 {digest}", line]
        return "\n".join(parts)

    def lines(self, address: str) -> list[tuple[str, str, str]]:
        """For each protocol: what the line does, the SHA-256 it prints, and the line, for a shell."""
        found = []
        if self.tscharts_path is not None:
            url = f"{address}{self.tscharts_path}/image/{self.photograph_id}/"
            take = f"curl -sS -H 'Authorization: Token {self.volunteer_token}' '{url}'"
            decode = """sed 's/.*"data": *"//; s/".*//' | base64 -d | sha256sum"""
            title = "tscharts: a photograph of a patient, out of its JSON"
            found.append((title, self.photograph_digest, f"{take} | {decode}"))
        if self.djinn_path is not None:
            url = f"{address}{self.djinn_path}/images/{self.disk_id}"
            headers = f"-H 'Authorization: Bearer {self.runner_token}' -H 'Accept: application/octet-stream'"
            title = "Djinn CI: a disk image in qcow2"
            found.append((title, self.disk_digest, f"curl -sS {headers} '{url}' | sha256sum"))
        return found
