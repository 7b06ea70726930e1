"""Which samples can be had under keys of one's own, and by whom: one row for each kind of evidence."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from sealroom.evidence import Tee
from sealroom.testing.gym.azure_world import AzureWorld, azure_world_mutations
from sealroom.testing.gym.cca_world import CcaWorld, cca_world_mutations
from sealroom.testing.gym.gcp_world import GcpWorld, gcp_world_mutations
from sealroom.testing.gym.hierarchy import Hierarchy
from sealroom.testing.gym.hierarchy_faults import hierarchy_mutations
from sealroom.testing.gym.mutation import Mutation, Sample
from sealroom.testing.gym.nitro_world import NitroWorld, nitro_world_mutations
from sealroom.testing.gym.nvidia_hierarchy import NvidiaHierarchy, nvidia_hierarchy_mutations
from sealroom.testing.gym.snp_hierarchy import SnpHierarchy, snp_hierarchy_mutations
from sealroom.testing.gym.token_world import TokenWorld, token_world_mutations
from sealroom.testing.gym.tokens import is_token
from sealroom.testing.gym.tpm import TpmWorld, tpm_world_mutations

__all__ = ["re_minted"]

Remade = tuple[Sample, Iterator[Mutation]] | None


class _World(Protocol):
    def sample(self) -> Sample: ...


_W = TypeVar("_W", bound=_World)


def re_minted(sample: Sample) -> Remade:
    """The sample under keys of one's own, which has to be accepted too, and one fault at a time in it."""
    make = _OF_TOKENS if is_token(sample) else _WORLDS.get(sample.tee)
    return None if make is None else make(sample)


def _made(
    of: Callable[[Sample], _W | None], faults: Callable[[_W], Iterator[Mutation]]
) -> Callable[[Sample], Remade]:
    def make(sample: Sample) -> Remade:
        world = of(sample)
        return None if world is None else (world.sample(), faults(world))

    return make


_OF_TOKENS = _made(TokenWorld.of, token_world_mutations)
_WORLDS: Mapping[Tee, Callable[[Sample], Remade]] = {
    Tee.SNP: _made(SnpHierarchy.of, snp_hierarchy_mutations),
    Tee.TDX: _made(Hierarchy.of, hierarchy_mutations),
    Tee.SGX: _made(Hierarchy.of, hierarchy_mutations),
    Tee.NITRO: _made(NitroWorld.of, nitro_world_mutations),
    Tee.CCA: _made(CcaWorld.of, cca_world_mutations),
    Tee.NVIDIA: _made(NvidiaHierarchy.of, nvidia_hierarchy_mutations),
    Tee.AZURE_VTPM: _made(AzureWorld.of, azure_world_mutations),
    Tee.GCP: _made(GcpWorld.of, gcp_world_mutations),
    Tee.TPM: _made(TpmWorld.of, tpm_world_mutations),
}
