"""A look at a TOML text before `tomllib` reads it.

`tomllib` keeps every prefix of a dotted key, so that one key of 100 000 parts, which is 200 KB of text, takes all the
memory that there is. No document of ours has a key of more than a few parts.
"""

import re

__all__ = ["MOST_PARTS", "has_long_key"]

MOST_PARTS = 9

# Strings as TOML delimits them, and comments: what is left of a document then has dots in dotted keys alone.
_STRING_OR_COMMENT = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\Z)|"(?:[^"\\\n]|\\.)*+(?:"|\n|\Z)|'''
    r"""'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)|'[^'\n]*+(?:'|\n|\Z)|\#[^\n]*""",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?:\.[ \t]*+[^\s.=]*+[ \t]*+){{{MOST_PARTS}}}")


def has_long_key(text: str) -> bool:
    """Whether a key of ``text``, or the name of a table, has more than `MOST_PARTS` parts."""
    return _LONG_KEY.search(_STRING_OR_COMMENT.sub("q", text)) is not None
