"""How the command line speaks of itself."""

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["program"]


def program() -> str:
    """What to type to run this command again: its bare name only if the shell finds this very one by it."""
    called = Path(sys.argv[0])
    if called.name != "sealroom":
        return shlex.join([sys.executable, "-m", "sealroom"])
    found = shutil.which("sealroom")
    same = found is not None and called.exists() and Path(found).samefile(called)
    return "sealroom" if same else shlex.quote(str(called))
