"""The fixed structures of a quote, each declared once (Intel SGX and TDX DCAP Quoting Library API, appendix A; SDM
volume 3D for the enclave report; TDX module ABI for the TD report).
"""

from sealroom.fixed_layout import Field, Kind, Layout

__all__ = ["ENCLAVE_REPORT", "HEADER", "TD_REPORT_10", "TD_REPORT_15"]

_QUOTE = "DCAP API A.3"
_REPORT = "SDM 3D, REPORT"
_TD = "DCAP API A.3.2"
_TD15 = "DCAP API A.4"


def _row(name: str, offset: int, size: int, meaning: str, *, kind: Kind = Kind.BYTES, section: str = _QUOTE) -> Field:
    return Field(name=name, offset=offset, size=size, kind=kind, section=section, meaning=meaning)


HEADER = Layout(
    "the quote header",
    area="dcap",
    size=48,
    fields=(
        _row("version", 0, 2, "3, 4 or 5", kind=Kind.U16),
        _row("attestation_key_type", 2, 2, "2: ECDSA P-256 (3: P-384, not in use)", kind=Kind.U16),
        _row("tee_type", 4, 4, "0: SGX, 0x81: TDX", kind=Kind.U32),
        _row(
            "qe_svn", 8, 2, "version 3: of the quoting enclave; later reserved, and never a TCB fact", kind=Kind.U16
        ),
        _row("pce_svn", 10, 2, "version 3: of the provisioning enclave; later reserved", kind=Kind.U16),
        _row("qe_vendor_id", 12, 16, "939a7233f79c4ca9940a0db3957f0607: Intel"),
        _row("user_data", 28, 20, "the first 16 bytes: id of the quoting enclave"),
    ),
)


def _report_row(name: str, offset: int, size: int, meaning: str, kind: Kind = Kind.BYTES) -> Field:
    return _row(name, offset, size, meaning, kind=kind, section=_REPORT)


ENCLAVE_REPORT = Layout(
    "the enclave report",
    area="sgx",
    size=384,
    fields=(
        _report_row("cpu_svn", 0, 16, "of the processor, as it runs"),
        _report_row("misc_select", 16, 4, "which extra state is saved"),
        _report_row("cet_attributes", 20, 1, "control-flow enforcement"),
        _report_row("reserved_21", 21, 11, "zero", Kind.RESERVED),
        _report_row("isv_ext_prod_id", 32, 16, "extended product id (KSS)"),
        _report_row(
            "attributes", 48, 8, "0 INIT, 1 DEBUG, 2 MODE64, 4 PROVISION_KEY, 5 EINITTOKEN_KEY, 7 KSS", Kind.U64
        ),
        _report_row("xfrm", 56, 8, "processor features that the enclave may use", Kind.U64),
        _report_row("mr_enclave", 64, 32, "measurement of code and data, SHA-256"),
        _report_row("reserved_96", 96, 32, "zero", Kind.RESERVED),
        _report_row("mr_signer", 128, 32, "SHA-256 of the signer's modulus"),
        _report_row("reserved_160", 160, 32, "zero", Kind.RESERVED),
        _report_row("config_id", 192, 64, "chosen at launch (KSS)"),
        _report_row("isv_prod_id", 256, 2, "product, by the signer", Kind.U16),
        _report_row("isv_svn", 258, 2, "security version, by the signer", Kind.U16),
        _report_row("config_svn", 260, 2, "security version of the configuration (KSS)", Kind.U16),
        _report_row("reserved_262", 262, 42, "zero", Kind.RESERVED),
        _report_row("isv_family_id", 304, 16, "family, by the signer (KSS)"),
        _report_row("report_data", 320, 64, "chosen by the enclave: what the quote binds"),
    ),
)


def _td_row(name: str, offset: int, size: int, meaning: str, kind: Kind = Kind.BYTES) -> Field:
    return _row(name, offset, size, meaning, kind=kind, section=_TD if offset < 584 else _TD15)


_TD_FIELDS = (
    _td_row("tee_tcb_svn", 0, 16, "0: module version, 1: its major version, 2: late microcode"),
    _td_row("mr_seam", 16, 48, "measurement of the TDX module, SHA-384"),
    _td_row("mr_signer_seam", 64, 48, "its signer; zero: Intel"),
    _td_row("seam_attributes", 112, 8, "of the TDX module; zero"),
    _td_row(
        "td_attributes", 120, 8, "0 DEBUG, 28 SEPT_VE_DISABLE, 29 MIGRATABLE, 30 PKS, 31 KL, 63 PERFMON", Kind.U64
    ),
    _td_row("xfam", 128, 8, "processor features that the TD may use", Kind.U64),
    _td_row("mr_td", 136, 48, "measurement of the initial contents, SHA-384"),
    _td_row("mr_config_id", 184, 48, "chosen by the host at launch: software configuration"),
    _td_row("mr_owner", 232, 48, "chosen by the host at launch: owner"),
    _td_row("mr_owner_config", 280, 48, "chosen by the host at launch: owner's configuration"),
    _td_row("rtmr0", 328, 48, "run-time measurement: firmware configuration"),
    _td_row("rtmr1", 376, 48, "run-time measurement: boot loader and kernel"),
    _td_row("rtmr2", 424, 48, "run-time measurement: kernel command line and initrd"),
    _td_row("rtmr3", 472, 48, "run-time measurement: applications"),
    _td_row("report_data", 520, 64, "chosen by the TD: what the quote binds"),
)

TD_REPORT_10 = Layout("the TD report", area="tdx", size=584, fields=_TD_FIELDS)
TD_REPORT_15 = Layout(
    "the TD report 1.5",
    area="tdx",
    size=648,
    fields=(
        *_TD_FIELDS,
        _td_row("tee_tcb_svn_2", 584, 16, "as tee_tcb_svn, of what is loaded now and not at launch"),
        _td_row("mr_service_td", 600, 48, "measurement of the service TDs that are bound; zero: none"),
    ),
)
