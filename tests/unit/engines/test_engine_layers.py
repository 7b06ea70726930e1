"""The layers as the supervisor sees them, the ruleset that the kernel is given, and the pauses between lives."""

from pathlib import Path

import pytest

from sealroom.engines.llama_cpp_parameters import config_digest, default_threads, parameters
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.registry import make_engine
from sealroom.engines.sandbox import landlock, outside
from sealroom.engines.sandbox.layers import DEFAULT_REQUIRED, Layer
from sealroom.engines.supervision import Backoff
from sealroom.errors import MisuseError, RefusedError

_STATUS = """Name:\tpython
Uid:\t65432\t65432\t65432\t65432
VmLck:\t   96060 kB
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
"""


def _facts(tmp_path: Path, status: str = _STATUS) -> outside.ProcessFacts:
    (tmp_path / "7").mkdir(exist_ok=True)
    (tmp_path / "7" / "status").write_text(status)
    return outside.read_facts(7, proc=tmp_path)


@pytest.mark.parametrize(
    ("line", "lie", "layer"),
    [
        ("Seccomp:\t2", "Seccomp:\t0", Layer.SECCOMP),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t0", Layer.NO_NEW_PRIVILEGES),
        ("CapEff:\t0000000000000000", "CapEff:\t0000000000000020", Layer.NO_CAPABILITIES),
        ("CapAmb:\t0000000000000000", "CapAmb:\t0000000000000001", Layer.NO_CAPABILITIES),
        ("VmLck:\t   96060 kB", "VmLck:\t       0 kB", Layer.WEIGHTS_LOCKED),
        ("Uid:\t65432\t65432", "Uid:\t65432\t0", Layer.OWN_USER),
    ],
)
def test_what_the_child_claims_and_the_kernel_denies_does_not_count(
    tmp_path: Path, line: str, lie: str, layer: Layer
) -> None:
    claimed = (layer, Layer.LANDLOCK_FILES)
    honest = outside.confirmed(claimed, _facts(tmp_path), user=65432, weights=98_000_000)
    caught = outside.confirmed(claimed, _facts(tmp_path, _STATUS.replace(line, lie)), user=65432, weights=98_000_000)
    assert layer in honest
    assert layer not in caught
    assert Layer.LANDLOCK_FILES in caught


@pytest.mark.parametrize("field", ["Uid", "CapInh", "CapPrm", "CapEff", "CapAmb"])
def test_what_the_kernel_does_not_say_confirms_nothing(tmp_path: Path, field: str) -> None:
    silent = "".join(f"{line}\n" for line in _STATUS.splitlines() if not line.startswith(field))
    with pytest.raises(RefusedError, match=r"sandbox\.facts-missing"):
        _facts(tmp_path, silent)


def test_an_engine_that_runs_as_root_is_never_said_to_have_a_user_of_its_own(tmp_path: Path) -> None:
    root = _facts(tmp_path, _STATUS.replace("65432", "0"))
    assert Layer.OWN_USER not in outside.confirmed((Layer.OWN_USER,), root, user=0, weights=0)


@pytest.mark.parametrize("user", [0, -1, 2**32 - 1])
def test_an_operator_can_not_name_root_or_nobody_at_all_as_the_engines_user(user: int) -> None:
    with pytest.raises(MisuseError, match=r"engine\.user"):
        LlamaCppSettings(model_name="room", user=user)


def test_weights_that_are_not_locked_are_said_not_to_be(tmp_path: Path) -> None:
    layers = outside.confirmed((Layer.WEIGHTS_LOCKED,), _facts(tmp_path), user=None, weights=1 << 40)
    assert layers == (Layer.WEIGHTS_NOT_LOCKED,)


@pytest.mark.parametrize("missing", sorted(DEFAULT_REQUIRED))
def test_each_required_layer_is_required(missing: Layer) -> None:
    with pytest.raises(RefusedError) as refused:
        outside.require(DEFAULT_REQUIRED, DEFAULT_REQUIRED - {missing})
    assert refused.value.expected == missing
    outside.require(DEFAULT_REQUIRED, DEFAULT_REQUIRED)


@pytest.mark.parametrize(
    ("abi", "size", "rights", "layers"),
    [(1, 8, 13, 1), (2, 8, 14, 1), (3, 8, 15, 1), (4, 16, 15, 2), (5, 16, 16, 2), (6, 24, 16, 3), (9, 24, 16, 3)],
)
def test_every_right_that_a_kernel_knows_is_taken_away(abi: int, size: int, rights: int, layers: int) -> None:
    attributes = landlock.ruleset_attributes(abi)
    assert len(attributes) == size
    assert int.from_bytes(attributes[:8], "little") == (1 << rights) - 1
    assert len(landlock.layers_of(abi)) == layers


def test_pauses_grow_and_a_stable_life_makes_them_short_again() -> None:
    backoff = Backoff()
    pauses = [backoff.pause_after(1.0) for _ in range(9)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert backoff.pause_after(30.0) == 0.1


@pytest.mark.parametrize(
    "change",
    [{"slots": 2}, {"context_tokens": 512}, {"threads": 3}, {"model_name": "other"}, {"embeddings": True},
     {"required_layers": frozenset({Layer.SECCOMP})}, {"insecure_allow_missing_layers": True}],
)  # fmt: skip
def test_whatever_changes_how_the_engine_runs_changes_the_digest(change: dict[str, object]) -> None:
    usual = config_digest(LlamaCppSettings(model_name="room"))
    assert usual == config_digest(LlamaCppSettings(model_name="room"))
    assert usual != config_digest(LlamaCppSettings(**({"model_name": "room"} | change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 1), (3, 2), (64, 63)])
def test_one_processor_is_left_to_the_room_and_its_number_is_no_part_of_the_digest(
    processors: int, threads: int
) -> None:
    assert default_threads(processors) == threads
    unset = parameters(LlamaCppSettings(model_name="room"))
    assert not {name for name in unset if name.endswith("n_threads")}
    assert {unset["cpuparams.poll"], unset["cpuparams_batch.poll"]} == {0}


def test_impossible_settings_and_unknown_engines_are_the_operators_mistake() -> None:
    with pytest.raises(MisuseError):
        LlamaCppSettings(model_name="room", slots=0)
    with pytest.raises(MisuseError):
        LlamaCppSettings(model_name="room", context_tokens=1)
    with pytest.raises(MisuseError):
        make_engine("oracle", LlamaCppSettings(model_name="room"))
