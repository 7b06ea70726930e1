"""Reports of GPUs and switches, and what is stapled to them, as trees."""

from sealroom.cli.inspecting.certificates import describe_certificates
from sealroom.cli.inspecting.documents import token_parts
from sealroom.cli.inspecting.tree import Description, Tree, fields_of, shown_bytes
from sealroom.evidence import Collateral
from sealroom.pem import as_pem
from sealroom.tees.nvidia.detached_eat import read_detached_eat
from sealroom.tees.nvidia.layout import NvidiaReport, parse_report
from sealroom.tees.nvidia.ocsp import state_of
from sealroom.tees.nvidia.ocsp_response import SingleAnswer, read_response
from sealroom.tees.nvidia.opaque import OpaqueType
from sealroom.tees.nvidia.revocation import stapled_answers
from sealroom.tees.nvidia.rim import read_rim, rim_certificates

__all__ = ["describe_device_report", "describe_ocsp", "describe_rim", "describe_service_answer", "describe_stapled"]


def describe_device_report(raw: bytes) -> Description:
    """A report of a GPU or switch: what it says of itself, and its measurements."""
    report = parse_report(raw).report
    content = fields_of(report, without=("measurements", "opaque"))
    content["opaque data"] = _opaque(report)
    content["measurements"] = {str(index): shown_bytes(value) for index, value in report.measurements.items()}
    kind = "NVLink switch" if report.driver_version is None else "GPU"
    return Description(f"report of an NVIDIA {kind} (SPDM 1.1)", content)


def describe_rim(raw: bytes) -> Description:
    """Reference values: for what, which, and the certificates of who signed them."""
    rim = read_rim(raw)
    values: Tree = {str(index): [value.hex() for value in values] for index, values in rim.measurements.items()}
    return Description(
        "NVIDIA reference values (RIM)",
        {
            "product": rim.product,
            "edition": rim.edition,
            "version": rim.version,
            "active measurements": len(rim.measurements),
            "values": values,
            "certificates": describe_certificates(as_pem(*rim_certificates(raw))).content,
        },
    )


def describe_ocsp(raw: bytes) -> Description:
    """One answer of an OCSP responder."""
    response = read_response(raw)
    content: dict[str, Tree] = {
        "answers": [_answer(single) for single in response.singles],
        "signed with": response.scheme.value,
    }
    if response.certificates:
        content["certificates"] = describe_certificates(as_pem(*response.certificates)).content
    return Description("OCSP response", content)


def describe_stapled(raw: bytes) -> Description:
    """The list of answers that goes along with a device."""
    answers = stapled_answers(Collateral(items={"ocsp": raw}))
    return Description("stapled OCSP responses", [describe_ocsp(answer).content for answer in answers])


def describe_service_answer(raw: bytes) -> Description:
    """An answer of NVIDIA's attestation service: the overall token, and one for each device."""
    answer = read_detached_eat(raw)
    devices: Tree = {name: token_parts(token) for name, token in answer.devices.items()}
    return Description(
        "answer of NVIDIA's attestation service (detached EAT)",
        {"overall": token_parts(answer.overall), "devices": devices},
    )


def _opaque(report: NvidiaReport) -> Tree:
    names = {kind.value: kind.name.lower() for kind in OpaqueType}
    return {names.get(kind, f"type {kind}"): shown_bytes(value) for kind, value in report.opaque.items.items()}


def _answer(single: SingleAnswer) -> Tree:
    state, reason = state_of(single.status)
    return {
        "serial": hex(single.serial),
        "status": state.value if reason is None else f"{state.value}: {reason}",
        "this update": single.this_update.isoformat(),
        "next update": None if single.next_update is None else single.next_update.isoformat(),
    }
