"""Which CPU's evidence can be had: SEV-SNP, TDX, SGX, Nitro enclaves, Arm realms."""

from collections.abc import Iterator

from sealroom.doctor.facts import Access, Cloud, Facts
from sealroom.doctor.finding import Finding, absent, missing, ok
from sealroom.evidence import Tee

__all__ = ["confidential_findings"]

_SNP, _TDX, _SGX, _NITRO, _CCA = "AMD SEV-SNP", "Intel TDX", "Intel SGX", "AWS Nitro enclave", "Arm CCA realm"
_MOUNT = "mount -t configfs none /sys/kernel/config"
_AS_ROOT = "run sealroom as root (sudo), or let the room's service be started as root"
_X86 = frozenset({"x86_64", "i686"})
_SINCE_TSM, _SINCE_CCA, _SINCE_SEV_GUEST, _SINCE_TDX_GUEST = (6, 7), (6, 13), (5, 19), (6, 2)


def confidential_findings(facts: Facts) -> Iterator[Finding]:
    """One for each, in the order in which a machine is asked."""
    yield _snp(facts)
    yield _tdx(facts)
    yield _cca(facts)
    yield _sgx(facts)
    yield _nitro(facts)


def _snp(facts: Facts) -> Finding:
    kernel = facts.kernel
    if kernel.sev_guest.there:
        return _reports(facts, _SNP, Tee.SNP, kernel.sev_guest, "/dev/sev-guest")
    if kernel.sev_announced:
        return _no_module(facts, _SNP, Tee.SNP, "sev-guest", "/dev/sev-guest", _SINCE_SEV_GUEST)
    return _no_guest(facts, _SNP, Tee.SNP, maker="AuthenticAMD", makers="AMD", kind="snp")


def _tdx(facts: Facts) -> Finding:
    kernel = facts.kernel
    if kernel.tdx_guest.there:
        found = _reports(facts, _TDX, Tee.TDX, kernel.tdx_guest, "/dev/tdx_guest")
        if kernel.tsm is not Access.USABLE and kernel.tdx_guest is Access.USABLE and not kernel.vsock:
            return missing(_TDX, "this is a TD, and there is no way to the host's quote generation service",
                           f"modprobe vmw_vsock_virtio_transport; or, from kernel 6.7 on: {_MOUNT}",
                           tee=Tee.TDX)  # fmt: skip
        return found
    if "tdx_guest" in facts.host.flags:
        return _no_module(facts, _TDX, Tee.TDX, "tdx-guest", "/dev/tdx_guest", _SINCE_TDX_GUEST)
    return _no_guest(facts, _TDX, Tee.TDX, maker="GenuineIntel", makers="Intel", kind="tdx")


def _reports(facts: Facts, name: str, tee: Tee, device: Access, path: str) -> Finding:
    tsm = facts.kernel.tsm
    if tsm is Access.USABLE:
        return ok(name, f"this guest's reports come through configfs-tsm (kernel {facts.host.release})", tee=tee)
    if tsm is Access.FORBIDDEN:
        return missing(name, "this is such a guest, and this user may not ask for reports (configfs-tsm)", _AS_ROOT,
                       tee=tee)  # fmt: skip
    if device is Access.FORBIDDEN:
        return missing(name, f"this is such a guest, and this user may not use {path}", _AS_ROOT, tee=tee)
    return ok(name, f"this guest's reports come through {path}; {_why_no_tsm(facts)}", tee=tee)


def _why_no_tsm(facts: Facts) -> str:
    if facts.host.kernel < _SINCE_TSM:
        return "kernels before 6.7 have no configfs-tsm"
    return "configfs-tsm is not there" if facts.kernel.configfs else "configfs is not mounted"


def _no_module(facts: Facts, name: str, tee: Tee, module: str, path: str, since: tuple[int, int]) -> Finding:
    if facts.kernel.launcher.there:
        return absent(name, "in Confidential Space its launcher answers for the hardware, see there", tee=tee)
    if facts.host.kernel < since:
        return missing(name, f"this is such a guest, and kernel {facts.host.release} has no driver for its reports",
                       f"use a kernel of {since[0]}.{since[1]} or later", tee=tee)  # fmt: skip
    if facts.host.container:
        return missing(name, f"this is such a guest, and this container was not given {path}",
                       f"start the container with --device {path}, or with /sys/kernel/config as a volume",
                       tee=tee)  # fmt: skip
    return missing(name, "this is such a guest, and the module that asks for reports is not loaded",
                   f"modprobe {module}", tee=tee)  # fmt: skip


def _no_guest(facts: Facts, name: str, tee: Tee, *, maker: str, makers: str, kind: str) -> Finding:
    host = facts.host
    if host.architecture not in _X86 or (host.vendor and host.vendor != maker):
        return absent(name, f"the CPU is not {makers}'s", tee=tee)
    if kind in facts.kernel.host_of:
        return absent(name, "this machine starts such guests and is none itself", "run this inside of a guest",
                      tee=tee)  # fmt: skip
    if host.cloud is Cloud.AZURE:
        return absent(name, "in Azure's machines its report comes through the vTPM, see there", tee=tee)
    if not host.sees_devices:
        return absent(name, "there is no /sys to see such a guest by", "start the container with /sys", tee=tee)
    return absent(
        name, f"this machine was not started as a guest with {name}", _how_to_start(host.cloud, kind), tee=tee
    )


def _how_to_start(cloud: Cloud | None, kind: str) -> str | None:
    if cloud is Cloud.GOOGLE:
        word = {"snp": "SEV_SNP", "tdx": "TDX"}[kind]
        return f"make the VM anew: gcloud compute instances create --confidential-compute-type={word}"
    if cloud is Cloud.AMAZON and kind == "snp":
        return "make the instance anew: aws ec2 run-instances --cpu-options AmdSevSnp=enabled (m6a, c6a, r6a)"
    return None


def _cca(facts: Facts) -> Finding:
    kernel = facts.kernel
    if facts.host.architecture != "aarch64":
        return absent(_CCA, "the CPU is not Arm's", tee=Tee.CCA)
    if not kernel.cca_announced:
        return absent(_CCA, "this machine was not started as a realm", tee=Tee.CCA)
    if facts.host.kernel < _SINCE_CCA:
        return missing(_CCA, f"this is a realm, and kernel {facts.host.release} has no driver for its tokens",
                       "use a kernel of 6.13 or later", tee=Tee.CCA)  # fmt: skip
    if kernel.tsm is Access.ABSENT:
        mend = "modprobe arm-cca-guest" if kernel.configfs else f"{_MOUNT}; modprobe arm-cca-guest"
        return missing(_CCA, f"this is a realm, and {_why_no_tsm(facts)}", mend, tee=Tee.CCA)
    return _reports(facts, _CCA, Tee.CCA, kernel.tsm, "configfs-tsm")


def _sgx(facts: Facts) -> Finding:
    kernel = facts.kernel
    if kernel.gramine == "dcap":
        return ok(_SGX, "this is an enclave under Gramine, which makes DCAP quotes", tee=Tee.SGX)
    if kernel.gramine is not None:
        return missing(_SGX, f"this is Gramine, whose kind of attestation is {kernel.gramine}",
                       'set sgx.remote_attestation = "dcap" in the manifest and run it with gramine-sgx',
                       tee=Tee.SGX)  # fmt: skip
    if kernel.sgx:
        return missing(_SGX, "this machine has SGX, and this is no enclave", "run sealroom inside of Gramine",
                       tee=Tee.SGX)  # fmt: skip
    return absent(_SGX, "the kernel has no SGX device" if facts.host.vendor == "GenuineIntel" else
                  "the CPU is not Intel's", tee=Tee.SGX)  # fmt: skip


def _nitro(facts: Facts) -> Finding:
    kernel = facts.kernel
    if kernel.nsm is Access.USABLE:
        return ok(_NITRO, "this enclave's documents come through /dev/nsm", tee=Tee.NITRO)
    if kernel.nsm is Access.FORBIDDEN:
        return missing(_NITRO, "this is an enclave, and this user may not use /dev/nsm", _AS_ROOT, tee=Tee.NITRO)
    if kernel.enclaves:
        return absent(_NITRO, "this instance starts enclaves and is none itself", "run this inside of an enclave",
                      tee=Tee.NITRO)  # fmt: skip
    if facts.host.cloud is Cloud.AMAZON:
        return absent(_NITRO, "this is an instance of EC2 and no enclave",
                      "start the instance with --enclave-options Enabled=true, and an enclave on it",
                      tee=Tee.NITRO)  # fmt: skip
    return absent(_NITRO, "this is no enclave of AWS's", tee=Tee.NITRO)
