"""Words in which an endpoint says what its request may hold.

Each word makes a rule: a function of a value and its place that returns the value as the engine may have it, or
raises `InvalidRequestError` with its place. A body is checked against a `record` and rebuilt from what passed:
what is not named there reaches no engine. ``null`` means absent, everywhere. An unknown field is an error that names
it: one that we dropped in silence might have been the one that the caller relied on.
"""

import json
from collections.abc import Callable, Mapping

from sealroom.gateway.errors import InvalidRequestError

__all__ = [
    "Rule",
    "dropped",
    "either",
    "flag",
    "json_object",
    "list_of",
    "map_of",
    "one_of",
    "only",
    "read_object",
    "real",
    "record",
    "refused",
    "text",
    "whole",
]

Rule = Callable[[object, str], object]
"""A check of one value, given with its place in the body. None as the result: nothing for the engine."""


def wrong(param: str, expected: str) -> InvalidRequestError:
    """The error for a value that breaks its rule. The value itself is not repeated."""
    return InvalidRequestError("invalid_value", f"Invalid value for '{param}': expected {expected}.", param=param)


def flag(value: object, param: str) -> object:
    """A rule: true or false."""
    if not isinstance(value, bool):
        raise wrong(param, "true or false")
    return value


def whole(low: int, high: int) -> Rule:
    """An integer, both ends included."""

    def check(value: object, param: str) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(param, f"an integer from {low} to {high}")
        return value

    return check


def real(low: float, high: float) -> Rule:
    """A number, both ends included."""

    def check(value: object, param: str) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise wrong(param, f"a number from {low:g} to {high:g}")
        return value

    return check


def text(longest: int = 4_000_000, *, shortest: int = 0) -> Rule:
    """Well-formed Unicode text; both lengths in characters."""

    def check(value: object, param: str) -> object:
        if not isinstance(value, str) or not shortest <= len(value) <= longest or not _well_formed(value):
            raise wrong(param, f"text of {shortest} to {longest} characters")
        return value

    return check


def one_of(*words: str) -> Rule:
    """One of a few words."""

    def check(value: object, param: str) -> object:
        if not isinstance(value, str) or value not in words:
            raise wrong(param, "one of " + ", ".join(f"'{word}'" for word in words))
        return value

    return check


def list_of(item: Rule, longest: int, *, shortest: int = 0) -> Rule:
    """A list, each item under one rule."""

    def check(value: object, param: str) -> object:
        if not isinstance(value, list) or not shortest <= len(value) <= longest:
            raise wrong(param, f"a list of {shortest} to {longest} items")
        return [item(entry, f"{param}[{index}]") for index, entry in enumerate(value)]

    return check


def map_of(name: Rule, item: Rule, *, largest: int) -> Rule:
    """An object whose names are free."""

    def check(value: object, param: str) -> object:
        if not isinstance(value, dict) or len(value) > largest:
            raise wrong(param, f"an object of at most {largest} fields")
        for key in value:
            name(key, f"{param}: its names")
        return {key: item(entry, f"{param}.{key}") for key, entry in value.items()}

    return check


def either(
    expected: str, *, as_text: Rule | None = None, as_list: Rule | None = None, as_object: Rule | None = None
) -> Rule:
    """A value of one of several kinds, under the rule of its kind."""
    rules: Mapping[type, Rule | None] = {str: as_text, list: as_list, dict: as_object}

    def check(value: object, param: str) -> object:
        rule = rules.get(type(value))
        if rule is None:
            raise wrong(param, expected)
        return rule(value, param)

    return check


def json_object(largest: int, *, deepest: int = 16) -> Rule:
    """A JSON object of bounded characters and depth: a schema, whose grammar the engine compiles at our cost."""

    def check(value: object, param: str) -> object:
        expected = f"a JSON object of at most {largest} characters and {deepest} levels"
        if not isinstance(value, dict) or _depth(value, deepest + 1) > deepest:
            raise wrong(param, expected)
        rendered = json.dumps(value, ensure_ascii=False)
        if len(rendered) > largest or not _well_formed(rendered):
            raise wrong(param, expected)
        return value

    return check


def only(setting: object, because: str) -> Rule:
    """A field of which we offer one setting; it is checked and not passed on."""

    def check(value: object, param: str) -> None:
        if type(value) is not type(setting) or value != setting:
            raise wrong(param, f"{json.dumps(setting)}: {because}")

    return check


def dropped(rule: Rule) -> Rule:
    """A field that has no bearing on the answer: checked for shape, then forgotten."""

    def check(value: object, param: str) -> None:
        rule(value, param)

    return check


def refused(because: str) -> Rule:
    """A known field that we do not offer; the reason goes to the caller."""

    def check(value: object, param: str) -> None:
        del value
        raise InvalidRequestError("unsupported_value", f"'{param}' is not supported: {because}.", param=param)

    return check


def record(
    fields: Mapping[str, Rule], *, required: tuple[str, ...] = ()
) -> Callable[[object, str], dict[str, object]]:
    """An object of named fields; what it does not name is an error."""

    def check(value: object, param: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise wrong(param, "an object")
        checked: dict[str, object] = {}
        for name, entry in value.items():
            if entry is not None and (kept := _rule(fields, name, param)(entry, _join(param, name))) is not None:
                checked[name] = kept
        for name in required:
            if value.get(name) is None:
                raise _missing(_join(param, name))
        return checked

    return check


def read_object(raw: bytes) -> dict[str, object]:
    """The JSON object in ``raw``: UTF-8, no name twice, no NaN; the parser bounds depth and digits."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidRequestError("invalid_json", "The body is not valid JSON with unique names.") from None
    if not isinstance(value, dict):
        raise InvalidRequestError("invalid_json", "The body is not a JSON object.")
    return value


def _rule(fields: Mapping[str, Rule], name: str, param: str) -> Rule:
    rule = fields.get(name)
    if rule is None:
        shown = _join(param, name if len(name) <= 64 else name[:64] + "…")
        raise InvalidRequestError("unknown_parameter", f"Unknown parameter: '{shown}'.", param=shown)
    return rule


def _missing(param: str) -> InvalidRequestError:
    return InvalidRequestError("missing_required_parameter", f"Missing required parameter: '{param}'.", param=param)


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name twice")  # two readers could each believe another one
    return result


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _join(param: str, name: str) -> str:
    return f"{param}.{name}" if param else name


def _well_formed(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 can carry
        return False
    return True


def _depth(value: object, give_up: int) -> int:
    if give_up == 0 or not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(item, give_up - 1) for item in inner), default=0)
