"""Minted evidence of Azure's guests as cases: what was done to one, and what a verifier has to make of it.

azure_cases       a case, the bench on which it is made, and all that is authentic
azure_faults      one fault each in the paravisor's report, what it binds, and the vTPM's quote: to be refused
azure_maa_cases   tokens of Azure's service: the bench, and all that is authentic
azure_maa_faults  one fault each in them: to be refused
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sealroom.evidence import Collateral, Tee
from sealroom.pem import as_pem
from sealroom.tees.azure_vtpm.writing import EvidenceForm
from sealroom.tees.snp.tcb import Product
from sealroom.testing.azure import AzureMachine, SimulatedAzure, bare
from sealroom.testing.azure_hcl import HclForm, digest_data, runtime_text
from sealroom.testing.dcap import DcapPlatform, SimulatedTdx
from sealroom.testing.snp import SnpPlatform, SnpVendor
from sealroom.testing.tpm_quote import QuoteForm

__all__ = ["AT", "NONCE", "AzureBench", "CloudCase", "authentic"]

AT = datetime(2026, 6, 1, tzinfo=UTC)
"""The time at which a case is to be verified, unless it says another."""
NONCE = bytes(range(1, 49))
"""What honest evidence answers: 48 bytes, as the key broker asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudCase:
    """Evidence, and what is to come of it."""

    name: str
    code: str | None
    """Of our refusal; None: authentic."""
    raw: bytes = field(repr=False)
    collateral: Collateral
    roots: frozenset[bytes]
    """SHA-256 of the private roots and keys to trust."""
    at: datetime = AT
    flags: frozenset[str] | None = None
    """Where authentic: what a policy has to see; None: the case does not say."""


@dataclass(frozen=True, kw_only=True)
class AzureBench:
    """Two guests on one vendor's machines; whatever a case does not change is right."""

    guest: SimulatedAzure
    other: SimulatedAzure
    """Whose parts are spliced into the first one's evidence."""

    @classmethod
    def create(cls, tee: Tee) -> "AzureBench":
        """Two new VMs on two machines of one vendor."""
        first = AzureMachine.create(tee)
        vendor: Any = first.platform.vendor
        second = AzureMachine.create(tee, platform=type(first.platform).create(vendor=vendor))
        return cls(guest=SimulatedAzure(machine=first), other=SimulatedAzure(machine=second))

    def form(self) -> EvidenceForm:
        """Honest evidence before it is encoded."""
        return self.guest.form(NONCE)

    def case(
        self, name: str, code: str | None = None, *, raw: bytes | None = None,
        collateral: Mapping[str, bytes] | None = None, **members: Any,
    ) -> CloudCase:  # fmt: skip
        """Honest evidence with ``members`` of its form changed, or other bytes altogether."""
        made = self.guest.evidence(replace(self.form(), **members))
        items = made.collateral if collateral is None else Collateral(items=collateral)
        return CloudCase(name=f"{self.guest.inner}: {name}", code=code, raw=made.raw if raw is None else raw,
                         collateral=items, roots=frozenset({self.guest.root_fingerprint}))  # fmt: skip

    def with_hcl(self, name: str, code: str | None, hcl: HclForm) -> CloudCase:
        """Around another report; a TD's quote is of the honest one."""
        return self.case(name, code, hcl_report=hcl.encode())

    def bound(self, name: str, code: str | None, runtime: bytes, **options: int) -> CloudCase:
        """Around a report that binds ``runtime``, as its hardware vouches for it."""
        hcl = self.guest.hcl_over(runtime, **options)
        return self.case(name, code, **_own_parts(self.guest.form(NONCE, hcl=hcl)))

    def with_runtime(self, name: str, code: str | None, change: Callable[[dict[str, Any]], object]) -> CloudCase:
        """With members of the runtime data changed before the hardware binds it."""
        members = json.loads(self.guest.runtime)
        change(members)
        return self.bound(name, code, runtime_text(members))

    def quoted(self, name: str, code: str | None, form: QuoteForm, **members: Any) -> CloudCase:
        """With another quote, which the bound key signed."""
        message = form.encode()
        return self.case(name, code, message=message, signature=bare(self.guest.tpm.sign(message)), **members)

    def json(self, name: str, code: str | None, **members: Any) -> CloudCase:
        """With members of the JSON changed; ``...`` leaves one out."""
        said = {**self.form().members(), **members}
        raw = json.dumps({name: value for name, value in said.items() if value is not ...}).encode()
        return self.case(name, code, raw=raw)


def authentic(bench: AzureBench) -> Iterator[CloudCase]:
    """Everything that may differ and is right."""
    yield bench.case("as it is")
    yield bench.case("version 1", version=1)
    yield bench.case("version 2", version=2)
    yield bench.json("nulls where nothing is", None, event_log=None, additional_evidence=None)
    for number, word in ((2, "SHA-384"), (3, "SHA-512")):
        yield bench.bound(f"bound by {word}", None, bench.guest.runtime, hash_type=number)
    yield bench.with_hcl("HCL version 2", None, replace(bench.guest.hcl, version=2))
    yield bench.with_runtime("members in another order", None, _turned)
    yield bench.with_runtime("a configuration with members to come", None, _grown)
    yield bench.with_runtime("without user data", None, lambda said: said.pop("user-data"))
    yield bench.with_runtime("the first schema: one key, for encryption, and nothing else", None, _first_schema)
    yield bench.case("a signature with its scheme", signature=bench.guest.tpm.quote(NONCE)[1])
    yield from _spelled_otherwise(bench)
    yield from _other_hardware(bench)


def _spelled_otherwise(bench: AzureBench) -> Iterator[CloudCase]:
    form = bench.form()
    quote: Any = form.members()["tpm_quote"]
    numbers = {"message": list(form.message), "signature": list(form.signature),
               "pcrs": [list(value) for value in form.pcrs]}  # fmt: skip
    yield bench.json("octets as numbers", None, tpm_quote={**quote, **numbers})
    if bench.guest.inner is Tee.TDX:
        yield bench.json("of an agent that knew no versions", None, version=..., tpm_quote=numbers,
                         hcl_report=list(form.hcl_report), td_quote=list(form.td_quote or b""))  # fmt: skip
        return
    pem = as_pem(form.vcek or b"").decode()
    yield bench.json("a VCEK in PEM", None, vcek=pem)
    old = {"quote": numbers, "report": list(form.hcl_report), "vcek": pem}
    yield bench.case("of an agent that knew no versions", raw=json.dumps(old).encode())


def _other_hardware(bench: AzureBench) -> Iterator[CloudCase]:
    """What the hardware's own verifier takes is taken here too."""
    platform, runtime = bench.guest.machine.platform, bench.guest.runtime
    if isinstance(platform, DcapPlatform):
        for name, td_15 in (("5", False), ("5, of TD 1.5", True)):
            made = SimulatedTdx(platform=platform, version=5, td_15=td_15)
            yield bench.case(f"a quote of version {name}", td_quote=made.quote(digest_data(runtime)))
        yield bench.case("a quote in a buffer that is longer", td_quote=(bench.form().td_quote or b"") + bytes(64))
        return
    older = bench.guest.hcl_over(runtime, version=2, cpuid_fam=0, cpuid_mod=0, cpuid_step=0)
    yield bench.with_hcl("a report of version 2, which names no product", None, older)
    yield bench.with_hcl("a report of version 5", None, bench.guest.hcl_over(runtime, version=5))
    for product in (Product.MILAN, Product.TURIN):
        vendor = SnpVendor.create(product, keys=platform.vendor)
        machine = replace(bench.guest.machine, platform=SnpPlatform.create(product, vendor=vendor))
        yield replace(bench, guest=SimulatedAzure(machine=machine)).case(f"on {product}")


def _own_parts(form: EvidenceForm) -> dict[str, Any]:
    return {"hcl_report": form.hcl_report, "vcek": form.vcek, "td_quote": form.td_quote}


def _first_schema(said: dict[str, Any]) -> None:
    key = {**said["keys"][0], "key_ops": ["encrypt"]}
    said.clear()
    said["keys"] = [key]


def _turned(said: dict[str, Any]) -> None:
    members = list(said.items())[::-1]
    said.clear()
    said.update(members)


def _grown(said: dict[str, Any]) -> None:
    said["vm-configuration"] |= {"filtered-vpci-devices-allowed": False, "root-cert-thumbprint": "", "later": [1]}
