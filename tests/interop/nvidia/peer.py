"""NVIDIA's own verifier (nv-local-gpu-verifier) without a GPU and without a network: one question a line, one answer.

A question is an object: ``report``, ``driver_rim``, ``vbios_rim`` (base64), ``chain``, ``device_root``, ``rim_root``
(PEM), ``nonce`` (hexadecimal), ``architecture`` (``hopper``, ``blackwell``), ``at`` (seconds), and, to be measured,
``repeat``. The answer: ``accepted``, ``word``, ``step``; ``seconds`` of CPU for one of ``repeat`` runs.

The steps are those of its own ``attest``, by its own functions and in its order; what can not be had here is put in:
driver and VBIOS version are those of the report (else the driver tells them), the answers about revocation are "good"
(else its OCSP responder tells), the roots are the question's, and the time is the question's. What it prints is
thrown away; the log that it always writes to a file is off unless the question has ``logs``.
"""

import base64
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
HERE = tempfile.mkdtemp(prefix="nvidia-peer-")
os.chdir(HERE)  # its log goes where it is started

from OpenSSL import crypto  # noqa: E402

AT = [datetime.now(UTC)]
_StoreContext: Any = crypto.X509StoreContext


class _AtOneTime(_StoreContext):
    """Certificates are judged at the question's time, and not at the machine's."""

    def __init__(self, store: Any, *arguments: Any, **options: Any) -> None:
        store.set_time(AT[0].replace(tzinfo=None))
        super().__init__(store, *arguments, **options)


crypto.X509StoreContext = _AtOneTime

from verifier import config  # noqa: E402
from verifier.__about__ import __version__  # noqa: E402
from verifier.attestation import AttestationReport  # noqa: E402
from verifier.cc_admin_utils import CcAdminUtils  # noqa: E402
from verifier.nvml.gpu_cert_chains import GpuCertificateChains  # noqa: E402
from verifier.rim import RIM  # noqa: E402
from verifier.utils import format_vbios_version  # noqa: E402
from verifier.verifier import Verifier  # noqa: E402

config.info_log.handlers.clear()
CcAdminUtils.ocsp_certificate_chain_validation = staticmethod(lambda *_: (True, "", "good", None))
SETTINGS = {"hopper": config.HopperSettings, "blackwell": config.BlackwellSettings}


def main() -> None:
    """Answer until there are no more questions."""
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr  # it prints
    out.write(json.dumps({"version": __version__}) + "\n")
    out.flush()
    for line in sys.stdin:
        out.write(json.dumps(answer(json.loads(line))) + "\n")
        out.flush()


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Its verdict, and how long it took."""
    AT[0] = datetime.fromtimestamp(question["at"], UTC)
    logging.disable(logging.NOTSET if question.get("logs") else logging.CRITICAL)
    settings = SETTINGS[question["architecture"]]
    for name, attribute in (("device_root", "DEVICE_ROOT_CERT"), ("rim_root", "RIM_ROOT_CERT")):
        path = Path(HERE) / f"{name}.pem"
        path.write_text(question[name])
        setattr(config.BaseSettings, attribute, str(path))
    config.BaseSettings.ROOT_CERT_DIR = HERE
    given = {name: base64.b64decode(question[name]) for name in ("report", "driver_rim", "vbios_rim")}
    steps: list[str] = []
    began = time.process_time()
    try:
        for _ in range(question.get("repeat", 1)):
            steps.clear()
            state = settings()
            accepted = attest(given, question, state, steps)
        refused = [name for name, value in vars(state).items() if value is False or value == "fail"]
        word = "accepted" if accepted else f"not good: {', '.join(refused)}"
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
        accepted, word = False, f"{type(error).__name__}: {str(error).strip()}"[:200]
    seconds = (time.process_time() - began) / question.get("repeat", 1)
    return {"accepted": accepted, "word": word, "step": steps[-1] if steps else "", "seconds": seconds}


def attest(given: dict[str, bytes], question: dict[str, Any], settings: Any, steps: list[str]) -> bool:
    """The body of its ``attest``, for one GPU."""
    settings.mark_gpu_arch_is_correct()
    steps.append("report")
    report = AttestationReport(given["report"], settings)
    settings.mark_attestation_report_parsed()
    opaque = report.get_response_message().get_opaque_data()
    driver = opaque.get_data("OPAQUE_FIELD_ID_DRIVER_VERSION").decode().rstrip("\0")
    vbios = format_vbios_version(opaque.get_data("OPAQUE_FIELD_ID_VBIOS_VERSION")).lower()
    steps.append("chain")
    chain = GpuCertificateChains.extract_cert_chain(question["chain"].encode())[:-1]
    chain.append(crypto.load_certificate(crypto.FILETYPE_PEM, question["device_root"].encode()))
    leaf = chain[0]
    fwid = opaque.get_data("OPAQUE_FIELD_ID_FWID").hex()
    held, _, _ = CcAdminUtils.verify_gpu_certificate_chain(chain, settings, fwid)
    if not held:
        return False
    settings.mark_gpu_attestation_report_cert_ocsp_status("good")
    settings.mark_gpu_attestation_report_cert_status("valid")
    settings.mark_gpu_attestation_report_cert_chain_validated()
    steps.append("signature")
    if not CcAdminUtils.verify_attestation_report(
        attestation_report_obj=report, gpu_leaf_certificate=leaf, nonce=bytes.fromhex(question["nonce"]),
        driver_version=driver, vbios_version=vbios, settings=settings,
    ):  # fmt: skip
        return False
    rims = []
    for name, version in (("driver", driver), ("vbios", vbios)):
        steps.append(f"{name} RIM")
        text = given[f"{name}_rim"].decode()
        rim = RIM(rim_name=name, settings=settings, content=text)
        if name == "driver":
            rim.get_manufacturer_id(text)
        if not rim.verify(version=version, settings=settings)[0]:
            return False
        rims.append(rim)
    steps.append("measurements")
    Verifier(report, rims[0], rims[1], settings=settings).verify(settings)
    steps.append("status")
    return bool(settings.check_status())


if __name__ == "__main__":
    main()
