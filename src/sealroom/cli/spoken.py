"""How the command line speaks: of itself, and in a stranger's words."""

import shlex
import shutil
import sys
import unicodedata
from pathlib import Path

__all__ = ["printable", "program"]


def program() -> str:
    """What to type to run this command again: its bare name only if the shell finds this very one by it."""
    called = Path(sys.argv[0])
    if called.name != "sealroom":
        return shlex.join([sys.executable, "-m", "sealroom"])
    found = shutil.which("sealroom")
    same = found is not None and called.exists() and Path(found).samefile(called)
    return "sealroom" if same else shlex.quote(str(called))


def printable(text: str) -> str:
    """``text`` as it may reach a terminal: what a stranger wrote has no control characters any more."""
    return "".join(
        letter if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else ascii(letter)[1:-1]
        for letter in text
    )
