"""Facts in, findings out."""

from sealroom.doctor.confidential import confidential_findings
from sealroom.doctor.facts import Facts, HostFacts
from sealroom.doctor.finding import Diagnosis
from sealroom.doctor.gpus import gpu_findings
from sealroom.doctor.room import room_findings
from sealroom.doctor.vtpm import vtpm_findings

__all__ = ["described", "diagnose"]


def diagnose(facts: Facts) -> Diagnosis:
    """What can be said of a machine with these facts."""
    findings = (*confidential_findings(facts), *vtpm_findings(facts), *gpu_findings(facts), *room_findings(facts))
    return Diagnosis(machine=described(facts.host, user=facts.process.user), findings=findings)


def described(host: HostFacts, *, user: int) -> str:
    """The machine in one line."""
    maker = " ".join(host.firmware.get(name, "") for name in ("sys_vendor", "product_name")).strip()
    where = (f"at {host.cloud}" if host.cloud else maker) or (
        "a virtual machine" if "hypervisor" in host.flags else None
    )
    parts = [
        host.cpu or host.vendor or "a CPU that does not name itself",
        f"{host.cpus} CPU{'s' * (host.cpus != 1)}",
        f"Linux {host.release} on {host.architecture}",
        *([where] if where else []),
        *(["in a container"] if host.container else []),
        "as root" if user == 0 else f"as user {user}",
    ]
    return ", ".join(parts)
