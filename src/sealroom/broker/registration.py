"""What the operator sends to register a model's key. ``spec/key-release.md`` section 11."""

from dataclasses import dataclass, field

from sealroom.errors import MalformedError
from sealroom.kbs.json_text import (
    JsonObject,
    b64url_decode,
    b64url_encode,
    compact,
    members,
    parse_object,
    text_member,
)
from sealroom.kbs.messages import ResourceId

__all__ = ["MAX_KEY_SIZE", "Registration"]

MAX_KEY_SIZE = 1024 * 1024
_MAX_VERSION = 2**53 - 1  # what JSON numbers carry everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A key, what it opens, and the policy by which it is released."""

    resource: ResourceId
    key: bytes = field(repr=False)
    policy: str = field(repr=False)
    model_name: str
    model_version: int
    keep_older: bool = False
    """Leave older versions of the model releasable; by default registering a version retires those before it."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.key) <= MAX_KEY_SIZE:
            raise _wrong("key", "1 byte to 1 MiB")
        if type(self.model_version) is not int or not 0 <= self.model_version <= _MAX_VERSION:
            raise _wrong("version", "a whole number from 0")
        if not 1 <= len(self.model_name) <= 200 or not self.model_name.isprintable():
            raise _wrong("name", "1 to 200 printable characters")

    def encode(self) -> bytes:
        """The body of the PUT."""
        model: JsonObject = {"name": self.model_name, "version": self.model_version}
        return compact(
            {"key": b64url_encode(self.key), "policy": self.policy, "model": model, "keep_older": self.keep_older}
        )

    @classmethod
    def parse(cls, resource: ResourceId, raw: bytes) -> "Registration":
        """Read the body of the PUT to ``resource``."""
        what = "the registration"
        required, optional = frozenset({"key", "policy", "model"}), frozenset({"keep_older"})
        obj = members(parse_object(raw, what=what), what=what, required=required, optional=optional)
        model = members(obj["model"], what="model", required=frozenset({"name", "version"}))
        version, keep_older = model["version"], obj.get("keep_older", False)
        if type(version) is not int or not isinstance(keep_older, bool):
            raise _wrong("version or keep_older", "a whole number; true or false")
        return cls(
            resource=resource,
            key=b64url_decode(text_member(obj, "key", what=what), what="key"),
            policy=text_member(obj, "policy", what=what),
            model_name=text_member(model, "name", what="model"),
            model_version=version,
            keep_older=keep_older,
        )


def _wrong(name: str, expected: str) -> MalformedError:
    return MalformedError("broker.registration", f"{name} of the registration is out of bounds", expected=expected)
