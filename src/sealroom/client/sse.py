"""Server-sent events, as much of them as an answer of the OpenAI API uses: ``data`` fields, split at blank lines."""

__all__ = ["EventReader"]


class EventReader:
    """Bytes in as they come, the data of whole events out. A last event without its blank line never comes out."""

    def __init__(self) -> None:
        self._rest = b""

    def receive(self, data: bytes) -> list[str]:
        """The data of every event that ``data`` completes."""
        text = (self._rest + data).replace(b"\r\n", b"\n")
        *whole, self._rest = text.split(b"\n\n")
        return [found for found in map(_data_of, whole) if found]


def _data_of(event: bytes) -> str:
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).decode("utf-8", errors="replace")
