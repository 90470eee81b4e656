"""The public names for users' own invariants: `from swarmkeeper.sim.invariants import invariant`."""

from swarmkeeper.sim.oracle.invariants import WORDS, Violation
from swarmkeeper.sim.oracle.user_invariants import Check, UserInvariant, invariant

__all__ = ["WORDS", "Check", "UserInvariant", "Violation", "invariant"]
