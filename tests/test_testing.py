"""The shipped contract, kept by the domain we ship and by the tests' own."""

from evolve.domains.kernels import Kernels
from evolve.testing import DomainContract
from tests.toy import Toy


class TestKernels(DomainContract):
    domain = Kernels(sessions=3, seconds=0.5)


class TestToy(DomainContract):
    domain = Toy()
