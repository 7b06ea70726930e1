"""How llama.cpp is run here: every setting that matters, written out, and the digest over all of it.

The defaults of its server are made for one trusting user. Why each differs: ``docs/decisions/0003``.
"""

import hashlib
from importlib import metadata

import rfc8785

from sealroom.engines.child_plan import ParameterValue
from sealroom.engines.llama_cpp_child import READABLE
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.sandbox import seccomp
from sealroom.engines.sandbox.syscalls import ARCHITECTURES
from sealroom.errors import MisuseError

__all__ = [
    "PACKAGE",
    "config_digest",
    "default_threads",
    "embedding_parameters",
    "package_version",
    "parameters",
    "thread_parameters",
]

PACKAGE = "xllamacpp"


def parameters(settings: LlamaCppSettings) -> dict[str, ParameterValue]:
    """llama.cpp's settings for answering; names as in ``CommonParams``."""
    return {
        "model_alias": [settings.model_name],
        "load_mode": "LLAMA_LOAD_MODE_MMAP",  # the weights exist once; they are locked before
        "n_gpu_layers": 0,
        "fit_params": False,
        "offline": True,
        "verbosity": 1,  # higher levels can print what is computed
        "log_json": False,
        # one caller's state stays out of another's sight
        "n_parallel": settings.slots,
        "n_ctx": settings.slots * settings.context_tokens,
        "kv_unified": False,
        "cache_ram_mib": 0,
        "cache_idle_slots": False,
        "slot_prompt_similarity": 0.0,
        "n_cache_reuse": 0,
        "n_ctx_checkpoints": 0,
        "slot_save_path": "",
        "path_prompt_cache": "",
        "path_prompts_log_dir": "",
        "ctx_shift": False,
        # nothing to see beside the three paths; the slots page is read by the supervisor
        "ui": False,
        "endpoint_metrics": False,
        "endpoint_props": False,
        "endpoint_slots": True,
        "ui_mcp_proxy": False,
        "server_tools": [],
        "media_path": "",
        "cors_origins": "",
        "cors_credentials": False,
        "port": 0,
        # a thread that waits for the others sleeps: spinning takes the processor from the one that is waited for
        "cpuparams.poll": 0,
        "cpuparams_batch.poll": 0,
        **({} if settings.threads is None else thread_parameters(settings.threads)),
    }


def embedding_parameters(settings: LlamaCppSettings) -> dict[str, ParameterValue]:
    """The same for embeddings: one slot, the whole input in one batch, the mean over its tokens."""
    return parameters(settings) | {
        "embedding": True,
        "pooling_type": "LLAMA_POOLING_TYPE_MEAN",
        "n_parallel": 1,
        "n_ctx": settings.context_tokens,
        "n_batch": settings.context_tokens,
        "n_ubatch": settings.context_tokens,
    }


def thread_parameters(count: int) -> dict[str, ParameterValue]:
    """Compute on ``count`` threads."""
    return {"cpuparams.n_threads": count, "cpuparams_batch.n_threads": count}


def default_threads(processors: int) -> int:
    """One processor is the room's own: with a thread on each, whatever else runs stops all of them."""
    return max(1, processors - 1)


def package_version() -> str:
    """The installed engine package, or `MisuseError` with what to install."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise MisuseError("engine.not-installed", "the engine is not installed", expected=PACKAGE,
                          hint="pip install 'sealroom[engine]'") from None  # fmt: skip


def config_digest(settings: LlamaCppSettings) -> bytes:
    """SHA-256 over RFC 8785 JSON of all that decides how the engine runs and what holds it in.

    ``threads`` counts as configured, so that machines of different size can share a reference value.
    """
    document = {
        "engine": "llama.cpp",
        "package": f"{PACKAGE}=={package_version()}",
        "parameters": parameters(settings),
        "embedding_parameters": embedding_parameters(settings) if settings.embeddings else None,
        "required_layers": sorted(settings.required_layers),
        "insecure_allow_missing_layers": settings.insecure_allow_missing_layers,
        "readable": {grant.path: int(grant.access) for grant in READABLE},
        "system_calls": {
            name: hashlib.sha256(
                seccomp.loading_filter(architecture, process=0) + seccomp.serving_filter(architecture)
            ).hexdigest()
            for name, architecture in ARCHITECTURES.items()
        },
    }
    return hashlib.sha256(rfc8785.dumps(document)).digest()
