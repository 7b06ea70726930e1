"""``[nitro]``, ``[cca]``, ``[tpm]``, ``[azure-vtpm]`` and ``[gcp]`` of a derived policy."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sealroom.evidence import Claims, Tee
from sealroom.policy.allowances import OTHER_WARNINGS
from sealroom.policy.cca import FLAGS as CCA_FLAGS
from sealroom.policy.clouds import AZURE_FLAGS, GCP_FLAGS
from sealroom.policy.deriving.entry import Entry, Notes, decide, heading, hexes, note, option, pin, quoted, texts
from sealroom.policy.deriving.snp import snp_entries
from sealroom.policy.deriving.tdx import tdx_entries
from sealroom.policy.flags import Flag
from sealroom.policy.load_clouds import AZURE_WORDS, CONFIDENTIAL_SPACE, GCP_WORDS, MAA
from sealroom.policy.load_tpm import KERNEL_PCRS
from sealroom.policy.nitro import FLAGS as NITRO_FLAGS
from sealroom.policy.tpm import FLAGS as TPM_FLAGS

__all__ = ["azure_entries", "cca_entries", "gcp_entries", "nitro_entries", "tpm_entries", "weakening_entries"]

_ENCLAVE = {
    "pcr0": "the whole image. Changes with: each build. To accept later builds of one signer, name pcr8 alone",
    "pcr1": "kernel and boot ramdisk. Changes with: another kernel",
    "pcr2": "the application. Changes with: each build",
    "pcr8": "who signed the image. Changes with: the signer's key",
}
_INSTANCE = ("nitrotpm_pcr4", "nitrotpm_pcr7", "nitrotpm_pcr8", "nitrotpm_pcr9", "nitrotpm_pcr11")
_BOOT_PCRS = (*KERNEL_PCRS, "pcr07")
_ASKED_ELSEWHERE = frozenset({"token", "not_stable", "not_secured"})


def nitro_entries(claims: Claims, _notes: Notes) -> Iterator[Entry]:
    """The table, from claims of a verified Nitro document."""
    yield heading("nitro", "What an enclave must be, or an instance with a NitroTPM.")
    document = str(claims.details["document"])
    yield pin("document", quoted(document), "Pins whose document it is. Changes with: nothing.")
    names = tuple(_ENCLAVE) if document == "enclave" else _INSTANCE
    for name in names:
        value = claims.measurements.get(name)
        if value is not None and (any(value) or name == names[0]):
            yield pin(name, hexes(value), f"Pins {_ENCLAVE.get(name, 'a register of the boot')}.")
    for name in ("pcr3", "pcr4"):
        if any(claims.measurements.get(name, b"")):
            yield option(name, hexes(claims.measurements[name]), "this IAM role (3) or this instance (4) alone.")
    yield option("module_id", texts([str(claims.details["module_id"])]), "this one enclave or instance alone.")
    yield from weakening_entries(claims.flags, NITRO_FLAGS)


def cca_entries(claims: Claims, _notes: Notes) -> Iterator[Entry]:
    """The table, from claims of verified Arm tokens."""
    yield heading("cca", "What a realm or device must be.")
    kind_of_token = str(claims.details["token"])
    yield pin("token", texts([kind_of_token]), "Pins the kind of token. Changes with: nothing.")
    if "rim" in claims.measurements:
        yield pin("rim", hexes(claims.measurements["rim"]), "Pins what the realm was started with. Changes with: "
                  "another image or another layout of its memory.")  # fmt: skip
        yield option("rpv", hexes(claims.measurements["rpv"]), "this personalization alone. Changes with: init-data.")
    yield pin("implementation_id", hexes(claims.measurements["implementation_id"]), "Pins the make of the device. "
              "Changes with: another kind of device.")  # fmt: skip
    yield option("instance_id", hexes(claims.measurements["instance_id"]), "this one device alone.")
    yield from _lifecycle(claims)
    yield from weakening_entries(claims.flags, CCA_FLAGS)
    for name, value in claims.measurements.items():
        kind = name.removeprefix("sw.")
        if name.startswith("sw.") and f"sw_version.{kind}" in claims.details:
            yield heading(f"cca.components.{quoted(kind)}", "One piece of its firmware.")
            yield pin("measurement", hexes(value), "Pins this piece. Changes with: its next release.")


def _lifecycle(claims: Claims) -> Iterator[Entry]:
    word = str(claims.details["lifecycle"])
    yield pin("lifecycle", texts(["secured"]), "Pins the device's place in its life. Changes with: nothing.")
    if word != "secured":
        yield decide("lifecycle", texts([word]), f"this device is {word}, which is refused but for this line in "
                     "place of the one above.", f"the device is {word}")  # fmt: skip


def tpm_entries(claims: Claims, notes: Notes) -> Iterator[Entry]:
    """The table, from claims of a verified quote."""
    yield heading("tpm", "What the machine must have booted.")
    yield from _registers(claims, notes)
    yield from weakening_entries(claims.flags, TPM_FLAGS)
    yield from _unpinned(claims)


def azure_entries(claims: Claims, notes: Notes) -> Iterator[Entry]:
    """The tables of Azure's wrapping and of the hardware inside."""
    token = "token" in claims.flags
    yield heading("azure-vtpm", "What Azure's vTPM, or its service, must say.")
    yield from _wrapper(claims, notes, MAA if token else None, AZURE_FLAGS, AZURE_WORDS)


def gcp_entries(claims: Claims, notes: Notes) -> Iterator[Entry]:
    """The tables of Google's wrapping and of the hardware inside."""
    token = "token" in claims.flags
    yield heading("gcp", "What Google's vTPM, or its service, must say.")
    if token and "image_digest" in claims.details:
        yield pin("image_digest", texts([str(claims.details["image_digest"])]), "Pins the workload's container. "
                  "Changes with: each build.")  # fmt: skip
    if token and "not_stable" in claims.flags:
        found = str(claims.details.get("support_attributes", "")).split() or ["EXPERIMENTAL"]
        yield decide("support_attributes", texts(found), "refused, but for this line: the image of Confidential "
                     "Space is not one that Google calls stable.", "the image is not stable")  # fmt: skip
    yield from _wrapper(claims, notes, CONFIDENTIAL_SPACE if token else None, GCP_FLAGS, GCP_WORDS)


def _wrapper(
    claims: Claims, notes: Notes, token: str | None, flags: Mapping[str, Flag], words: tuple[str, ...]
) -> Iterator[Entry]:
    if token is None:
        yield from _registers(claims, notes)
    else:
        yield pin("kind", texts([token]), "Takes a token, the word of the cloud's service, in place of evidence. "
                  "Changes with: nothing.", question="a token is the word of a service and no evidence")  # fmt: skip
    for word in words:
        if token == MAA and word == "issuer":
            yield pin(word, texts([str(claims.details.get(word))]), "Pins the provider of Azure's service, whose "
                      "owner writes its policy. Changes with: the region.")  # fmt: skip
        elif word in claims.details:
            yield option(word, texts([str(claims.details[word])]), f"this {word} alone.")
    yield from weakening_entries(claims.flags, flags)
    yield from _unpinned(claims)
    yield from _inner(claims, notes)


def _registers(claims: Claims, notes: Notes) -> Iterator[Entry]:
    for name, value in claims.measurements.items():
        why = f"PCR {int(name[3:])} of the TPM"
        if name in _BOOT_PCRS and any(value):
            yield pin(name, hexes(value), f"Pins {why}: what was booted, or by which rules (7). Changes with: the "
                      "next boot loader, kernel or key database.", details=notes.get(name, ()))  # fmt: skip
        elif any(value):
            yield option(name, hexes(value), f"{why} as it is now. Changes with: firmware and its settings.")
    yield pin("bank", texts([str(claims.details["pcr_bank"])]), "Pins the hash of the registers. Changes with: "
              "nothing.")  # fmt: skip


def _unpinned(claims: Claims) -> Iterator[Entry]:
    """What a reader wants a reason for: nothing says which software runs."""
    image = "image_digest" in claims.details
    if image or any(any(claims.measurements.get(name, b"")) for name in KERNEL_PCRS):
        return
    yield heading(f"unchecked.{claims.tee.value}", "No register that says which kernel runs was quoted.")
    yield pin("measurement", quoted("the evidence says nothing of which software runs"), "Leaves open what runs. "
              "Changes with: a quote of these registers.",
              question="the evidence says nothing of which software runs")  # fmt: skip


def _inner(claims: Claims, notes: Notes) -> Iterator[Entry]:
    """The hardware's own tables, below the wrapper's."""
    inner = claims.inner
    if inner is None:
        return
    entries = snp_entries if inner.tee is Tee.SNP else tdx_entries
    for entry in entries(inner, notes):
        below = entry.line.startswith(f"[{inner.tee.value}")
        yield replace(entry, line=f"[{claims.tee.value}.{entry.line[1:]}") if below else entry


def weakening_entries(flags: frozenset[str], known: Mapping[str, Flag]) -> Iterator[Entry]:
    """What weakens protection: nothing of it is accepted before somebody has decided."""
    found = flags - _ASKED_ELSEWHERE
    for flag in sorted(found):
        if flag not in known or known[flag].allowance is None:
            yield note(f"REFUSED: the evidence says {flag}, and no policy lets that pass.",
                       question=f"the evidence says {flag}, which no policy accepts")  # fmt: skip
    words = sorted({str(known[flag].allowance) for flag in found & known.keys() if known[flag].allowance})
    if words:
        meaning = "; ".join(f"{word} {OTHER_WARNINGS[word]}" for word in words)
        yield decide("allow", texts(words), f"refused, unless this line counts: {meaning}.",
                     f"the evidence says {', '.join(sorted(found & known.keys()))}")  # fmt: skip
