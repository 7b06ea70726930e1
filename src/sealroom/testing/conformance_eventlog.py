"""Runs event log vectors: a TD's log, a TPM's, dstack's, and IMA's list."""

import json
from collections.abc import Mapping, Sequence

from sealroom.errors import SealroomError
from sealroom.evidence import TrustRoots
from sealroom.measure.boot_facts import boot_facts
from sealroom.measure.ccel import read_ccel_table
from sealroom.measure.dstack import DstackReplay, replay_dstack
from sealroom.measure.event_names import type_name
from sealroom.measure.ima import read_ima, require_pcr10
from sealroom.measure.replay import RTMRS, NamedEvent, RtmrReplay, replay_rtmrs, require_equal
from sealroom.measure.td_hob import memory_of_hob
from sealroom.measure.tpm_replay import replay_pcrs, require_pcrs
from sealroom.tees import tdx
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run_ccel", "run_ima", "run_tcg2"]

_TD_REPORT_RTMRS = 720
"""RTMR0 in a TDREPORT of 1024 bytes."""


def run_ccel(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001 - one signature for all runners
    """``tdx-ccel``: replay, and the quote or TDREPORT where the vector has one (its signature is not asked about)."""
    log_format = case.input.get("log_format", "tcg2")
    replay: RtmrReplay | DstackReplay
    if log_format == "dstack-json":
        replay = replay_dstack(case.evidence)
        fields: dict[str, object] = {
            "runtime_events": [
                {"name": event.name, "payload": event.payload.hex()} for event in replay.runtime_events
            ]
        }
        refusal: SealroomError | None = replay.dishonest
        events: object = None
    elif log_format == "tcg2":
        replay, refusal = replay_rtmrs(case.evidence), None
        fields = _log_fields(replay)
        events = _events(replay.events)
    else:
        raise UnsupportedCaseError(f"no such form of a log: {log_format}")
    fields |= {name: value.hex() for name, value in replay.registers.items()}
    if "acpi_table" in case.input:
        table = read_ccel_table(case.file(case.input["acpi_table"]))
        fields["ccel_table"] = {
            "signature": table.signature, "cc_type": table.cc_type, "cc_subtype": table.cc_subtype,
            "laml": table.log_area_length, "lasa": hex(table.log_area_address),
        }  # fmt: skip
    if (quoted := _quoted(case)) is not None:
        fields["matches_quote"] = [replay.registers[name] == quoted[name] for name in RTMRS]
        try:
            require_equal(replay.registers, replay.extended, quoted)
        except SealroomError as mismatch:
            refusal = refusal or mismatch
    facts = {} if events is None else {"events": events}
    return Outcome(fields=fields, facts=facts, refusal=refusal)


def run_tcg2(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001
    """``tcg2-eventlog``: replay, and the PCRs that the vector states."""
    replay = replay_pcrs(case.evidence)
    if "pcrs" in case.input:
        stated = json.loads(case.file(case.input["pcrs"]))
        quoted = {
            bank: {int(index): bytes.fromhex(value) for index, value in pcrs.items()} for bank, pcrs in stated.items()
        }
        require_pcrs(replay, quoted)
        banks = set(quoted)
    else:
        banks = set(replay.pcrs)
    fields: dict[str, object] = {
        "pcrs": {
            bank: {str(index): value.hex() for index, value in sorted(pcrs.items())}
            for bank, pcrs in replay.pcrs.items()
            if bank in banks
        },
        "event_count": len(replay.events),
        "log_format": "crypto-agile" if replay.log.crypto_agile else "sha1",
        "startup_locality": replay.startup_locality,
        **_facts(replay.events),
    }
    return Outcome(fields=fields, facts={"events": _events(replay.events)})


def run_ima(case: VectorCase, roots: TrustRoots) -> Outcome:  # noqa: ARG001
    """``ima``: the list, and PCR 10 where the vector states it."""
    measured = read_ima(case.evidence)
    stated = case.input.get("pcr10", {})
    if isinstance(stated, dict):
        require_pcr10(measured, {bank: bytes.fromhex(str(value)) for bank, value in stated.items()})
    wanted = (case.expect.fields or {}).get("pcr10")
    banks = set(wanted) if isinstance(wanted, dict) else set(measured.pcr10)  # the banks that the vector speaks of
    fields: dict[str, object] = {
        "entries": len(measured.entries),
        "violations": measured.violations,
        "pcr10": {bank: value.hex() for bank, value in measured.pcr10.items() if bank in banks},
    }
    return Outcome(fields=fields, flags=frozenset({"ima-violation"} if measured.violations else ()))


def _log_fields(replay: RtmrReplay) -> dict[str, object]:
    return {
        "hash": "sha384",
        "event_count": len(replay.events),
        "log_bytes_used": replay.log.used,
        "vendor_info": replay.log.vendor_info.decode("ascii", "replace"),
        "td_hob_memory_bytes": memory_of_hob([named.event for named in replay.events]),
        **_facts(replay.events),
    }


def _facts(events: Sequence[NamedEvent]) -> dict[str, object]:
    facts = boot_facts(events)
    return {
        "secure_boot": facts.secure_boot,
        "kernel_cmdline": facts.kernel_cmdline,
        "boot_chain": list(facts.boot_chain),
    }


def _events(events: Sequence[NamedEvent]) -> list[dict[str, str]]:
    return [
        {"register": named.register, "type": type_name(named.event), "digest_of": named.digest_of} for named in events
    ]


def _quoted(case: VectorCase) -> Mapping[str, bytes] | None:
    if "quote" in case.input:
        report = tdx.parse(case.file(case.input["quote"])).report
        return {name: getattr(report, name) for name in RTMRS}
    if "tdreport" in case.input:
        raw = case.file(case.input["tdreport"])
        places = (_TD_REPORT_RTMRS + 48 * index for index in range(4))
        return {name: raw[at : at + 48] for name, at in zip(RTMRS, places, strict=True)}
    return None
