# ruff: noqa: INP001 - a folder of programs
"""Fuzzes one target in this process: ``one.py TARGET [options of libFuzzer] [folders or a file to try again]``."""

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["sealroom"]):
    from targets import TARGETS

    from sealroom.errors import SealroomError

    READ = TARGETS[sys.argv[1]].make()


def one_input(raw: bytes) -> None:
    """Whatever is none of our errors ends the run, and is a finding."""
    try:
        READ(raw)
    except SealroomError as error:
        # what a person or a program would be shown must be fit to be shown
        error.diagnostics().encode()
        str(error.as_dict())


warnings.simplefilter("ignore")
atheris.Setup([sys.argv[0], *sys.argv[2:]], one_input)
atheris.Fuzz()
