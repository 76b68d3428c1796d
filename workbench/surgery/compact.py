"""What leaves the workbench: the tensors of what is on, under the names that they have outside."""

from sessions.compacting import compacted
from sessions.network import Network
from workbench.surgery.build import State, expected_shapes


def compact(network: Network, state: State) -> tuple[Network, State]:
    """The network without its off units, numbered without gaps, and its tensors."""
    smaller, keys = compacted(network)
    wanted = expected_shapes(smaller)
    tensors = {}
    for old, new in keys.items():
        for name, value in state.items():
            if name.startswith(f"{old}.") and (moved := new + name[len(old) :]) in wanted:
                tensors[moved] = value
    return smaller, tensors
