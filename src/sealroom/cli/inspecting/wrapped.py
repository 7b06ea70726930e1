"""Evidence of enclaves, realms, TPMs and clouds' wrappers as trees; what is inside a wrapper by its own reader."""

from collections.abc import Callable, Mapping

from sealroom.cli.inspecting.certificates import describe_certificates
from sealroom.cli.inspecting.quotes import describe_quote
from sealroom.cli.inspecting.snp import describe_snp_report
from sealroom.cli.inspecting.tree import Description, Tree, fields_of, shown_bytes, tree_of
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Tee
from sealroom.pem import as_pem
from sealroom.tees._tpm.attest import QuoteAttest, read_attest
from sealroom.tees.azure_vtpm import layout as azure
from sealroom.tees.azure_vtpm.hcl import HclReport, read_hcl
from sealroom.tees.azure_vtpm.runtime_data import read_runtime_data
from sealroom.tees.cca import layout as cca
from sealroom.tees.gcp import layout as gcp
from sealroom.tees.nitro import layout as nitro
from sealroom.tees.tpm import layout as tpm

__all__ = [
    "describe_arm",
    "describe_attest",
    "describe_azure",
    "describe_gcp",
    "describe_hcl",
    "describe_nitro",
    "describe_tpm",
]


def describe_nitro(raw: bytes) -> Description:
    """An attestation document of an enclave, or of an instance with a NitroTPM."""
    document = nitro.parse(raw).document
    content = fields_of(document, without=("certificate", "cabundle", "is_nitro_tpm"))
    content["certificates, leaf first"] = describe_certificates(
        as_pem(document.certificate, *reversed(document.cabundle))
    ).content
    return Description(f"AWS {'NitroTPM' if document.is_nitro_tpm else 'Nitro enclave'} document", content)


def describe_arm(raw: bytes) -> Description:
    """A CCA token, or a PSA token."""
    evidence = cca.parse(raw)
    content: dict[str, Tree] = {"wrapped under tag": evidence.wrapper}
    content["device" if evidence.realm is None else "platform"] = {
        "headers": tree_of(evidence.device.message.protected), **fields_of(evidence.device.claims)
    }  # fmt: skip
    if evidence.realm is not None:
        headers = tree_of(evidence.realm.message.protected)
        content["realm"] = {"headers": headers, **fields_of(evidence.realm.claims)}
    return Description("Arm PSA token" if evidence.realm is None else "Arm CCA token", content)


def describe_attest(raw: bytes) -> Description:
    """What a TPM signs when it quotes."""
    return Description("TPM quote (TPMS_ATTEST)", _attest(read_attest(raw)))


def describe_tpm(raw: bytes) -> Description:
    """A TPM's quote with its key, in JSON."""
    quote = tpm.parse(raw).quote
    content = fields_of(quote, without=("message", "attest", "area", "event_log"))
    return Description("TPM evidence", {"quote": _attest(quote.attest), **content})


def describe_hcl(raw: bytes) -> Description:
    """The report that Azure's paravisor keeps in the vTPM."""
    return Description("Azure HCL report", _hcl(read_hcl(raw)))


def describe_azure(raw: bytes) -> Description:
    """Evidence of an Azure guest, in JSON."""
    guest = azure.parse(raw).guest
    if guest is None:
        raise MalformedError("inspect.unknown-format", "a token is no evidence of a guest")
    content: dict[str, Tree] = {
        "quote": _attest(guest.attest),
        "signature": tree_of(guest.signature),
        "pcrs": tree_of(guest.pcrs),
        "HCL report": _hcl(guest.hcl),
    }
    if guest.vcek is not None:
        content["vcek"] = describe_certificates(guest.vcek).content
    if guest.td_quote is not None:
        content["td_quote"] = _inside(Tee.TDX, guest.td_quote)
    return Description("evidence of an Azure guest", content)


def describe_gcp(raw: bytes) -> Description:
    """An attestation of a Google VM."""
    vtpm = gcp.parse(raw).vtpm
    if vtpm is None:
        raise MalformedError("inspect.unknown-format", "a token is no attestation of a VM")
    content: dict[str, Tree] = {
        "key": tree_of(vtpm.public),
        "quotes": [
            {"quote": _attest(quote.attest), "signature": tree_of(quote.signature), "pcrs": tree_of(quote.pcrs)}
            for quote in vtpm.quotes
        ],
    }
    if chain := [der for der in (vtpm.certificate, *vtpm.intermediates) if der]:
        content["certificates"] = describe_certificates(as_pem(*chain)).content
    if vtpm.hardware is not None:
        content[f"{vtpm.hardware.tee.value} report"] = _inside(vtpm.hardware.tee, vtpm.hardware.raw)
    return Description("attestation of a Google VM", content)


def _hcl(report: HclReport) -> dict[str, Tree]:
    content = fields_of(report, without=("hardware_report", "runtime_data"))
    runtime = read_runtime_data(report.runtime_data)
    content["runtime data"] = tree_of(runtime)
    content["hardware report"] = _inside(report.inner, report.hardware_report)
    return content


def _inside(tee: Tee, raw: bytes) -> Tree:
    """By its own reader; Azure's TDREPORT has none, since only its quote proves anything."""
    reader = _READERS.get(tee)
    if reader is None or (tee is Tee.TDX and raw[:1] == b"\x81"):
        return shown_bytes(raw)
    try:
        return reader(raw).content
    except (MalformedError, UnverifiedError) as error:
        return f"can not be read: {error}"


def _attest(attest: QuoteAttest) -> Tree:
    content = fields_of(attest, without=("selection",))
    content["selection"] = {bank.word: ", ".join(map(str, indices)) for bank, indices in attest.selection}
    return content


_READERS: Mapping[Tee, Callable[[bytes], Description]] = {Tee.SNP: describe_snp_report, Tee.TDX: describe_quote}
