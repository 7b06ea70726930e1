"""Policies, JSON, tokens and sealed models as trees."""

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any

from sealroom.cli.input_files import read_input
from sealroom.cli.inspecting.keys import digest_of_jwk
from sealroom.cli.inspecting.tree import Description, Tree
from sealroom.errors import MalformedError, MisuseError
from sealroom.jose import Jwt
from sealroom.policy import explain, load_policy

__all__ = [
    "describe_json",
    "describe_policy",
    "describe_sealed_model",
    "describe_token",
    "looks_like_token",
    "token_parts",
]

_TOKEN = re.compile(rb"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2}((\.[A-Za-z0-9_-]*){2})?\s*")
_JWE_PARTS = 5
_MANY = 50
_SECRET_MEMBERS = frozenset({"d", "k", "p", "q", "dp", "dq", "qi"})
"""Private and symmetric members of a JWK (RFC 7518 section 6)."""
_SECRET_NAMES = frozenset({"key", "model_key", "private_key", "secret", "token"})
_HIDDEN = "(secret, not shown)"


def describe_policy(raw: bytes, *, source: str) -> Description:
    """A policy, in the words of its explanation."""
    lines: list[Tree] = list(explain(load_policy(raw, source=source)).splitlines())
    return Description("policy", lines)


def describe_json(raw: bytes) -> Description:
    """Any JSON; what looks like a private or symmetric key is not shown."""
    content = _json(raw, None)
    if isinstance(content, dict) and {"protected", "ciphertext"} <= content.keys():
        return Description("JWE, flattened JSON", {**content, "protected": _protected(content["protected"])})
    if isinstance(content, dict) and "kty" in content:
        return Description("JSON web key", _named_key(content))
    keys = _keys(content)
    if not keys:
        return Description("JSON", _without_secrets(content))
    shown: list[Tree] = [_named_key(key) for key in keys]
    return Description("JSON web key set", shown)


def looks_like_token(raw: bytes) -> bool:
    """Whether ``raw`` has the shape of a compact JWS or JWE."""
    return _TOKEN.fullmatch(raw) is not None


def describe_token(raw: bytes) -> Description:
    """A compact JWS (header and claims) or JWE (header and sizes)."""
    parts = raw.strip().split(b".")
    header = _json(_base64url(parts[0]), "the header")
    if len(parts) == _JWE_PARTS:
        names = ("encrypted key", "iv", "ciphertext", "tag")
        sizes: dict[str, Tree] = {
            name: f"{len(_base64url(part))} bytes" for name, part in zip(names, parts[1:], strict=True)
        }
        return Description("JWE, compact", {"header": header, **sizes})
    payload = _base64url(parts[1])
    claims: Tree = _json(payload, "the payload") if payload[:1] == b"{" else f"{len(payload)} bytes"
    return Description("JWS (JWT), compact", {"header": header, "payload": claims,
                                              "signature": f"{len(_base64url(parts[2]))} bytes"})  # fmt: skip


def token_parts(token: Jwt) -> Tree:
    """Header and claims of a token that was read already."""
    return {"header": dict(token.header), "claims": dict(token.claims)}


def describe_sealed_model(folder: Path) -> Description:
    """The plain parts of a sealed model: manifest, signature, wraps, and what lies in the folder."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise MisuseError("inspect.unknown-folder", "the folder is no sealed model", where=str(folder),
                          expected="a manifest.json in it")  # fmt: skip
    content: dict[str, Tree] = {}
    for name in ("manifest.json", "signature.json", "wraps.json"):
        if (path := folder / name).is_file():
            content[name] = _shortened(_json(read_input(path), name))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listing: list[Tree] = [f"{path.relative_to(folder)}: {path.stat().st_size} bytes" for path in files]
    content["files"] = _shortened(listing)
    return Description("sealed model", content)


def _protected(value: Tree) -> Tree:
    if not isinstance(value, str):
        raise MalformedError("inspect.not-base64url", "the protected header is not text")
    return _json(_base64url(value.encode()), "the protected header")


def _without_secrets(tree: Tree) -> Tree:
    """A terminal is scrolled back, recorded and shared; a key that went through it is no key any more."""
    if isinstance(tree, dict):
        secret = _SECRET_MEMBERS if "kty" in tree else _SECRET_NAMES
        return {
            name: _HIDDEN if name in secret and isinstance(value, str) else _without_secrets(value)
            for name, value in tree.items()
        }
    return [_without_secrets(value) for value in tree] if isinstance(tree, list) else tree


def _keys(content: Tree) -> list[dict[str, Tree]]:
    """The keys of a set (RFC 7517 section 5); none if this is no set."""
    listed = content.get("keys") if isinstance(content, dict) else None
    found = [key for key in listed if isinstance(key, dict) and "kty" in key] if isinstance(listed, list) else []
    return found if isinstance(listed, list) and len(found) == len(listed) else []


def _named_key(key: dict[str, Tree]) -> Tree:
    """A key with the name that policies have for it; certificates beside it are counted: each can be of 30 KB."""
    shown = _without_secrets(key)
    chain = key.get("x5c")
    short: dict[str, Tree] = {"x5c": f"{len(chain)} certificates"} if isinstance(chain, list) else {}
    return {"a policy names it": digest_of_jwk(key), **(shown if isinstance(shown, dict) else {}), **short}


def _shortened(tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return {name: _shortened(value) for name, value in tree.items()}
    if isinstance(tree, list) and len(tree) > _MANY:
        return [*tree[:_MANY], f"and {len(tree) - _MANY} more"]
    return tree


def _json(raw: bytes, where: str | None) -> Tree:
    try:
        found: Any = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedError("inspect.not-json", "this is not JSON in UTF-8", where=where) from None
    return found  # type: ignore[no-any-return]


def _base64url(text: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise MalformedError("inspect.not-base64url", "a part of the token is not base64url") from None
