"""Which evidence a TPM can make, and what a cloud's TPM says of the hardware below it."""

from collections.abc import Iterator

from sealroom.doctor.facts import Access, Cloud, Facts
from sealroom.doctor.finding import Finding, absent, missing, ok
from sealroom.evidence import Tee

__all__ = ["GOOGLE_CERTIFICATES", "HARDWARE_REPORT", "vtpm_findings"]

HARDWARE_REPORT = 0x01400001
"""Where Azure's paravisor keeps the hardware's report."""
GOOGLE_CERTIFICATES = frozenset({0x01C10000, 0x01C10002})
"""Where Google keeps the certificates of the vTPM's attestation keys (RSA, ECC)."""

_SPACE, _AZURE, _GOOGLE, _NITRO, _TPM = "Confidential Space", "Azure vTPM", "Google vTPM", "AWS NitroTPM", "TPM"
_DEVICE = "/dev/tpmrm0"


def vtpm_findings(facts: Facts) -> Iterator[Finding]:
    """One for each kind."""
    yield _space(facts)
    yield _azure(facts)
    yield _google(facts)
    yield _nitro_tpm(facts)
    yield _plain(facts)


def _space(facts: Facts) -> Finding:
    launcher = facts.kernel.launcher
    if launcher is Access.USABLE:
        return ok(_SPACE, "the launcher gives tokens of Google's service for this workload", tee=Tee.GCP)
    if launcher is Access.FORBIDDEN:
        return missing(_SPACE, "this is a workload there, and this user may not use the launcher's socket",
                       "run the workload as root", tee=Tee.GCP)  # fmt: skip
    return absent(_SPACE, "there is no launcher of Google's", tee=Tee.GCP)


def _azure(facts: Facts) -> Finding:
    make = "make the VM anew: az vm create --security-type ConfidentialVM (sizes DCas, ECas, DCes, ECes)"
    if facts.host.cloud is not Cloud.AZURE:
        return absent(_AZURE, "this is no machine of Azure's", tee=Tee.AZURE_VTPM)
    if not facts.tpm.device.there:
        return absent(_AZURE, "this machine has no vTPM", make, tee=Tee.AZURE_VTPM)
    if (problem := _not_askable(facts, _AZURE, Tee.AZURE_VTPM)) is not None:
        return problem
    if HARDWARE_REPORT not in (facts.tpm.indices or ()):
        return absent(_AZURE, f"the vTPM holds no report of the hardware (index {HARDWARE_REPORT:#010x}): this is no "
                      "confidential VM", make, tee=Tee.AZURE_VTPM)  # fmt: skip
    return ok(_AZURE, "the vTPM holds the hardware's report (SNP or TDX) and quotes what was booted",
              tee=Tee.AZURE_VTPM)  # fmt: skip


def _google(facts: Facts) -> Finding:
    if facts.host.cloud is not Cloud.GOOGLE:
        return absent(_GOOGLE, "this is no machine of Google's", tee=Tee.GCP)
    if facts.kernel.launcher.there:
        return absent(_GOOGLE, "in Confidential Space its launcher asks it, see there", tee=Tee.GCP)
    if not facts.tpm.device.there:
        return absent(_GOOGLE, "this machine has no vTPM",
                      "make the VM anew: gcloud compute instances create --shielded-vtpm", tee=Tee.GCP)  # fmt: skip
    if (problem := _not_askable(facts, _GOOGLE, Tee.GCP)) is not None:
        return problem
    if not GOOGLE_CERTIFICATES & (facts.tpm.indices or frozenset()):
        return absent(_GOOGLE, "the vTPM holds no certificate of Google's for its attestation key",
                      "make the VM anew from a current image, with --shielded-vtpm", tee=Tee.GCP)  # fmt: skip
    hardware = facts.kernel.sev_guest is Access.USABLE or facts.kernel.tdx_guest is Access.USABLE
    around = ", around the hardware's report" if hardware else ""
    return ok(_GOOGLE, f"the vTPM quotes what was booted, under Google's certificate{around}", tee=Tee.GCP,
              boot_alone=not hardware)  # fmt: skip


def _nitro_tpm(facts: Facts) -> Finding:
    if facts.host.cloud is not Cloud.AMAZON:
        return absent(_NITRO, "this is no instance of EC2", tee=Tee.NITRO)
    if not facts.tpm.device.there:
        return absent(_NITRO, "this instance has no TPM",
                      "register its image with --tpm-support v2.0 --boot-mode uefi", tee=Tee.NITRO)  # fmt: skip
    if not facts.tpm.nitro_tools:
        return missing(_NITRO, "AWS's program that asks it (nitro-tpm-attest) is not installed",
                       "install the package aws-nitro-tpm-tools", tee=Tee.NITRO)  # fmt: skip
    if facts.tpm.device is Access.FORBIDDEN:
        return missing(_NITRO, f"this user may not use {_DEVICE}", "run sealroom as root", tee=Tee.NITRO)
    return ok(_NITRO, "AWS signs what was booted on this instance", tee=Tee.NITRO)


def _plain(facts: Facts) -> Finding:
    if not facts.tpm.device.there:
        return absent(_TPM, f"there is no {_DEVICE}", tee=Tee.TPM)
    if (problem := _not_askable(facts, _TPM, Tee.TPM)) is not None:
        return problem
    return ok(_TPM, "it quotes what was booted; by itself it keeps nobody out of the memory", tee=Tee.TPM,
              boot_alone=True)  # fmt: skip


def _not_askable(facts: Facts, name: str, tee: Tee) -> Finding | None:
    if not facts.tpm.tools:
        return missing(name, "tpm2-tools are not installed, which ask it", "apt install tpm2-tools", tee=tee)
    if facts.tpm.device is Access.FORBIDDEN:
        return missing(name, f"this user may not use {_DEVICE}", "usermod -aG tss USER, and log in anew; or be root",
                       tee=tee)  # fmt: skip
    if facts.tpm.indices is None:
        return missing(name, f"it does not answer: {facts.tpm.problem or 'no reason was given'}",
                       "dmesg may say more; a TPM that is locked out answers after a restart", tee=tee)  # fmt: skip
    return None
