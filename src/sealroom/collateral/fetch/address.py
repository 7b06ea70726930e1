"""What the address of a service may be."""

from urllib.parse import urlsplit

__all__ = ["AN_ADDRESS", "wrong_in_address"]

AN_ADDRESS = "an address such as https://pccs.example:8081"


def wrong_in_address(text: str) -> str | None:
    """What is wrong in it, never the text itself; None: nothing.

    Names and passwords have no place in it: addresses stand in error messages.
    """
    import httpx  # noqa: PLC0415 - takes longer to read than the rest of a room's configuration; few have an address

    try:
        parts = urlsplit(text)
        port, _ = parts.port, httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        return "what is no address"
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or port == 0:
        return "what is no address, or one with a password"
    return "an address with a query" if parts.query or parts.fragment else None
