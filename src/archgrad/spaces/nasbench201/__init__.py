"""NAS-Bench-201 (arXiv:2001.00326): table, supernet, derived network, and the strings that cells are written as."""

from archgrad.spaces.nasbench201.network import NASBench201Network
from archgrad.spaces.nasbench201.space import NASBench201Space
from archgrad.spaces.nasbench201.strings import all_genotypes, arch_string, naslib_indices, parse, structure
from archgrad.spaces.nasbench201.supernet import NASBench201Supernet

__all__ = [
    "NASBench201Network",
    "NASBench201Space",
    "NASBench201Supernet",
    "all_genotypes",
    "arch_string",
    "naslib_indices",
    "parse",
    "structure",
]
