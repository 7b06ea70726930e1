"""The reference page says what the code does: members, values, codes, claims, profiles and spellings."""

import re
from pathlib import Path

import pytest

import sealroom.ear
from sealroom.ear import Consumer, Spelling
from sealroom.ear.mapping import _ELSE, _rule
from sealroom.ear.model import PROFILES
from sealroom.ear.names import NAMES
from sealroom.ear.vector import MEMBERS, Tier

_PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "ear.md").read_text(encoding="utf-8")
_ROWS = re.findall(r"^\| (?:`([\w.-]+)`|anything else) \| `([a-z-]+)` \| (\d+) \|$", _PAGE, re.MULTILINE)
_CODE = r'"ear\.([a-z]+(?:-[a-z]+)*)",|_unverified\("([a-z-]+)"|MalformedError\("ear\.([a-z-]+)"'


@pytest.mark.parametrize(("check", "member", "failed"), _ROWS)
def test_each_row_of_the_mapping_is_as_the_code_has_it(check: str, member: str, failed: str) -> None:
    rule = _rule(check) if check else _ELSE
    assert (rule.member.replace("_", "-"), rule.failed) == (member, int(failed))


def test_there_is_a_row_for_each_rule() -> None:
    from sealroom.ear.mapping import _RULES

    assert len(_ROWS) > 20
    assert {_rule(check) for check, _, _ in _ROWS if check} >= set(_RULES)


def test_every_code_that_the_code_can_raise_is_told() -> None:
    found = set()
    for path in Path(sealroom.ear.__file__).parent.glob("*.py"):
        found |= {f"ear.{next(filter(None, groups))}" for groups in re.findall(_CODE, path.read_text("utf-8"))}
    found -= {str(name) for name in NAMES[Spelling.DOTS].values()} - {"ear.status"}
    assert len(found) > 15
    assert {code for code in found if f"`{code}`" not in _PAGE} == set()


def test_every_name_of_every_claim_is_told() -> None:
    for spelling in Spelling:
        assert [str(name) for name in NAMES[spelling].values() if str(name) not in _PAGE] == []
    assert [profile for profile in PROFILES if f"`{profile}`" not in _PAGE] == []
    assert [member for member in MEMBERS if f"`{member}`" not in _PAGE] == []
    assert [tier for tier in Tier if f"`{tier.name.lower()}` ({int(tier)})" not in _PAGE] == []
    for consumer in Consumer:
        assert f"| `{consumer.name}` | `{consumer.name.lower()}` | `{consumer.value.profile}` |" in _PAGE
    for claim in ("sealroom_tee", "sealroom_root", "sealroom_simulated", "sealroom_refusals"):
        assert f"`{claim}`" in _PAGE
