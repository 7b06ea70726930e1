"""``sealroom measure sgx``: MRENCLAVE and MRSIGNER of a SIGSTRUCT."""

from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import MAX_INPUT
from sealroom.cli.measuring.measured import Measured, read_source, sources, tell
from sealroom.measure.sigstruct import read_sigstruct

__all__ = ["measure_enclave"]


def measure_enclave(
    sigstruct: Annotated[Path, typer.Argument(metavar="SIGSTRUCT", help="The 1808 bytes, such as Gramine's .sig.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """MRENCLAVE and MRSIGNER of an SGX enclave, from what its author signed."""
    source = read_source(sigstruct, limit=MAX_INPUT)
    signed = read_sigstruct(source.content)
    tell(
        Measured(
            values={"mr_enclave": signed.mr_enclave.hex(), "mr_signer": signed.mr_signer.hex(),
                    "isv_prod_id": str(signed.isv_prod_id), "isv_svn": str(signed.isv_svn), "date": signed.date},
            inputs=sources(sigstruct=source),
            not_covered=["files that the enclave reads, but for those that its measured manifest names by digest"],
            changes_with=["mr_enclave: code, data, manifest, and the enclave's size", "mr_signer: the signer's key"],
            policy=f'[sgx]\nmr_enclave = ["{signed.mr_enclave.hex()}"]',
            warnings=() if signed.debug_forbidden else
            ("it can be started for debugging, so that the host reads its memory: DEBUG is set, or not in the mask",),
        ),
        as_json=as_json,
    )  # fmt: skip
