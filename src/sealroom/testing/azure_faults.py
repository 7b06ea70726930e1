"""One fault each in the evidence of an Azure guest. Whatever else is in it holds, so that one check alone can refuse
it; the code is the one that this check gives.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sealroom.evidence import Tee
from sealroom.pem import as_pem
from sealroom.tees._tpm.attest import TpmHash
from sealroom.testing.azure import bare
from sealroom.testing.azure_cases import NONCE, AzureBench, CloudCase
from sealroom.testing.azure_hcl import digest_data, runtime_text
from sealroom.testing.snp import flip_bit
from sealroom.testing.tpm import SoftTpm

__all__ = ["faults"]

_HCL, _JSON, _EVIDENCE = "azure-vtpm.hcl", "azure-vtpm.runtime-json", "azure-vtpm.evidence"
_UNBOUND, _NO_JSON = "azure-vtpm.runtime-data", "azure-vtpm.token"


def faults(bench: AzureBench) -> Iterator[CloudCase]:
    """Every fault."""
    for make in (report_faults, runtime_faults, binding_faults, hardware_faults, quote_faults, json_faults):
        yield from make(bench)


def report_faults(bench: AzureBench) -> Iterator[CloudCase]:
    """Of the paravisor's report, outside of what the hardware signs."""
    hcl, raw = bench.guest.hcl, bench.guest.hcl.encode()
    length = len(hcl.runtime)
    changes: dict[str, dict[str, Any]] = {
        "another magic": {"magic": b"HCLB"}, "HCL version 0": {"version": 0}, "HCL version 3": {"version": 3},
        "another request": {"request": 1}, "a reserved byte": {"reserved": bytes(11) + b"\1"},
        "runtime version 2": {"runtime_version": 2}, "hardware of no known kind": {"kind": 3},
        "hash type 0": {"hash_type": 0}, "hash type 4": {"hash_type": 4},
        "a data size that is none": {"data_size": length}, "JSON shorter than it is": {"length": length - 1},
        "JSON longer than the report": {"length": 2600}, "JSON without length": {"length": 0},
        "a byte behind the JSON": {"padding": b"\1"}, "more than a report may have": {"size": 16 * 1024 + 1},
    }  # fmt: skip
    for name, change in changes.items():
        yield bench.with_hcl(name, _HCL, replace(hcl, **change))
    yield bench.case("an empty report's", _EVIDENCE, hcl_report=b"")
    yield bench.case("no more than a header", _HCL, hcl_report=raw[:1236])
    yield bench.with_hcl("a zero counted among the JSON", _NO_JSON, replace(hcl, length=length + 1))
    if bench.guest.inner is Tee.TDX:
        yield bench.with_hcl("a byte behind the TDREPORT", _HCL, replace(hcl, hardware=hcl.hardware + b"\1"))
        yield bench.with_hcl("a TDREPORT that binds something else", _UNBOUND,
                             replace(hcl, hardware=flip_bit(hcl.hardware, 8 * 128)))  # fmt: skip


def runtime_faults(bench: AzureBench) -> Iterator[CloudCase]:
    """Of the runtime data; the hardware binds it as it stands."""

    def key(**changes: Any) -> Any:
        return lambda said: said["keys"][0].update(changes)

    def doubled(said: dict[str, Any]) -> None:
        said["keys"].append(said["keys"][0])

    yield bench.bound("runtime data that is a list", _JSON, b"[]")
    yield bench.bound("runtime data that is no JSON", _NO_JSON, b"no")
    twice = bench.guest.runtime[:-1] + b',"keys":[]}'
    yield bench.bound("runtime data with a member twice", _NO_JSON, twice)
    yield bench.with_runtime("no keys", _JSON, lambda said: said.pop("keys"))
    yield bench.with_runtime("no attestation key", _JSON, lambda said: said["keys"].pop(0))
    yield bench.with_runtime("two attestation keys", _JSON, doubled)
    wrong_keys: dict[str, dict[str, Any]] = {
        "of another type": {"kty": "EC"}, "with exponent 3": {"e": "Aw"}, "of 1024 bits": {"n": "_" * 170},
        "without a modulus": {"n": None}, "with a modulus in base64": {"n": "+/" * 171},
        "with an even modulus": {"n": "_" * 341 + "g"},
    }  # fmt: skip
    for name, changes in wrong_keys.items():
        yield bench.with_runtime(f"an attestation key {name}", _JSON, key(**changes))
    yield bench.with_runtime("a configuration that is a list", _JSON, _set("vm-configuration", []))
    for data in ("00" * 63, "00" * 65, "zz" * 64, 5):
        yield bench.with_runtime(f"user data {str(data)[:4]} of {len(str(data))}", _JSON, _set("user-data", data))


def binding_faults(bench: AzureBench) -> Iterator[CloudCase]:
    """What the hardware does not vouch for."""
    hcl = bench.guest.hcl
    swapped, turned_on = json.loads(hcl.runtime), json.loads(hcl.runtime)
    swapped["keys"][0] = json.loads(bench.other.runtime)["keys"][0]
    turned_on["vm-configuration"]["secure-boot"] = "yes"
    replaced = (
        ("another VM's key", runtime_text(swapped)),
        ("another boot", runtime_text(turned_on)),
        ("spaces", hcl.runtime + b" "),
        ("another VM's runtime data", bench.other.runtime),
    )
    for name, runtime in replaced:
        yield bench.with_hcl(f"{name} in place of what is bound", _UNBOUND, replace(hcl, runtime=runtime))
    yield bench.with_hcl("another hash than the one that was used", _UNBOUND, replace(hcl, hash_type=2))
    if bench.guest.inner is Tee.SNP:
        for name, data in (("a nonce of the guest's own", NONCE.ljust(64, b"\0")), ("zeros", bytes(64)),
                           ("a byte behind the hash", hcl.hardware[0x50:0x8F] + b"\1")):  # fmt: skip
            report = bench.guest.hardware_report(data)
            yield bench.with_hcl(f"{name} as report data", _UNBOUND, replace(hcl, hardware=report))


def hardware_faults(bench: AzureBench) -> Iterator[CloudCase]:
    """Of what the hardware signed, or who certified it."""
    guest, other, hcl = bench.guest, bench.other, bench.guest.hcl
    if guest.inner is Tee.SNP:
        yield bench.with_hcl("a report that was changed", "snp.signature",
                             replace(hcl, hardware=flip_bit(hcl.hardware, 8 * 0x90)))  # fmt: skip
        yield bench.with_hcl("the report of another machine", "snp.signature",
                             replace(hcl, hardware=other.hcl.hardware))  # fmt: skip
        yield bench.case("the VCEK of another machine", "snp.signature", vcek=other.form(NONCE).vcek)
        yield bench.case("no VCEK", "collateral.missing", vcek=None)
        yield bench.case("no chain", "collateral.missing", collateral={})
        return
    quote = guest.hardware_report(bytes(64))
    yield bench.case("no quote", "azure-vtpm.no-td-quote", td_quote=None)
    yield bench.case("a quote of another TDREPORT", _UNBOUND, td_quote=quote)
    yield bench.case("the quote of another VM", _UNBOUND, td_quote=other.form(NONCE).td_quote)
    runtime = digest_data(hcl.runtime)
    for name, changes in (
        ("in its first register", {"rtmr0": b"\1" * 48}),
        ("that may be debugged", {"td_attributes": 1}),
    ):
        yield bench.case(f"the quote of a TD {name}", "azure-vtpm.tdreport",
                         td_quote=guest.hardware_report(runtime, **changes))  # fmt: skip
    yield bench.with_hcl("a TDREPORT of another TD", "azure-vtpm.tdreport",
                         replace(hcl, hardware=flip_bit(hcl.hardware, 8 * 528)))  # fmt: skip
    yield bench.case("a quote that was changed", "dcap.quote-signature",
                     td_quote=flip_bit(bench.form().td_quote or b"", 8 * (48 + 136)))  # fmt: skip
    yield bench.case("no collateral", "collateral.missing", collateral={})


def quote_faults(bench: AzureBench) -> Iterator[CloudCase]:
    """Of the vTPM's quote."""
    tpm, form = bench.guest.tpm, bench.guest.tpm.form(NONCE)
    yield bench.quoted("a structure that no TPM made", "tpm.magic", replace(form, magic=0))
    yield bench.quoted("a certificate in place of a quote", "tpm.not-a-quote", replace(form, kind=0x8017))
    yield bench.quoted("no selection", "tpm.selection", replace(form, selection=()))
    yield bench.quoted("PCRs that were not quoted", "tpm.pcr-digest", replace(form, pcr_digest=bytes(32)))
    both = {TpmHash.SHA256: range(24), TpmHash.SHA384: range(24)}
    yield bench.quoted("two banks", "azure-vtpm.pcrs", tpm.form(NONCE, both))
    foreign, signature = SoftTpm.create().quote(NONCE)
    yield bench.case("another vTPM's quote", "tpm.signature", message=foreign, signature=bare(signature))
    message, signature = bench.other.tpm.quote(NONCE)
    yield bench.case("another VM's quote", "tpm.signature", message=message, signature=bare(signature))
    yield bench.case("another nonce under the old signature", "tpm.signature", message=tpm.form(b"other").encode())
    yield bench.case("a signature that was changed", "tpm.signature", signature=flip_bit(bench.form().signature, 9))
    yield bench.case("a byte behind the quote", "tpm.trailing", message=form.encode() + b"\0")
    yield bench.case("a signature of no size", "tpm.signature-algorithm", signature=bench.form().signature[:-1])
    pcrs = bench.form().pcrs
    yield bench.case("a PCR that was changed", "tpm.pcr-digest", pcrs=(*pcrs[:4], b"\1" * 32, *pcrs[5:]))
    yield bench.case("a PCR too few", "azure-vtpm.pcrs", pcrs=pcrs[:-1])
    yield bench.case("a PCR of another size", "azure-vtpm.pcrs", pcrs=(*pcrs[:-1], bytes(48)))
    yield bench.case("PCRs in another order", "tpm.pcr-digest", pcrs=(*pcrs[1:], pcrs[0]))
    yield bench.case("a log that is none", "eventlog.malformed", event_log=b"no log")


def json_faults(bench: AzureBench) -> Iterator[CloudCase]:
    """Of the JSON around it all."""
    raw = bench.form().encode()
    yield bench.case("half of it", _NO_JSON, raw=raw[: len(raw) // 2])
    yield bench.case("a member twice", _NO_JSON, raw=raw[:-1] + b',"version":1}')
    for version in (0, 3, True, 1.0, "1", None):
        yield bench.json(f"evidence of version {version!r}", _EVIDENCE, version=version)
    for name in ("tpm_quote", "hcl_report"):
        yield bench.json(f"no {name}", _EVIDENCE, **{name: ...})
    yield bench.json("no version, and more than such evidence had", _EVIDENCE, version=..., event_log="AA")
    yield bench.json("a member that nobody knows", _EVIDENCE, comment="hello")
    yield bench.json("evidence of devices", _EVIDENCE, additional_evidence="e30")
    quote: Any = bench.form().members()["tpm_quote"]
    yield bench.json("a member of the quote that nobody knows", _EVIDENCE, tpm_quote={**quote, "ak": "00"})
    yield bench.json("a quote that is a list", _EVIDENCE, tpm_quote=[])
    yield bench.json("no text for the report", _EVIDENCE, hcl_report=5)
    yield bench.json("text that is no base64", _EVIDENCE, hcl_report="*")
    yield bench.json("PCRs by name", "azure-vtpm.pcrs", tpm_quote={**quote, "pcrs": {}})
    if bench.guest.inner is Tee.SNP:
        two = as_pem(*[bench.form().vcek or b""] * 2).decode()
        yield bench.json("a VCEK of two certificates", _EVIDENCE, vcek=two)
        yield bench.json("a VCEK that is a key", "x509.pem", vcek=two.replace("CERTIFICATE", "PUBLIC KEY"))
    foreign = "td_quote" if bench.guest.inner is Tee.SNP else "vcek"
    yield bench.json("what belongs to other hardware", _EVIDENCE, **{foreign: "AA"})


def _set(name: str, value: Any) -> Any:
    return lambda said: said.update({name: value})
