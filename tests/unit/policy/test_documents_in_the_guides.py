"""Every policy that stands in a guide can be read."""

import re
from pathlib import Path

import pytest

from sealroom.policy import explain, load_policy

_GUIDES = Path(__file__).resolve().parents[3] / "docs" / "guides"
_DOCUMENTS = [
    pytest.param(text, id=f"{path.stem}-{number}")
    for path in sorted(_GUIDES.glob("*.md"))
    for number, text in enumerate(re.findall(r"```toml\n(policy = 1\n.*?)```", path.read_text("utf-8"), re.DOTALL))
    if not {"<", "…"} & set(text)  # places to fill in
]


def test_there_are_some() -> None:
    assert len(_DOCUMENTS) >= 4


@pytest.mark.parametrize("text", _DOCUMENTS)
def test_a_policy_in_a_guide_is_one_and_explains_itself(text: str) -> None:
    policy = load_policy(text, source="guide")

    assert policy.name in explain(policy)
