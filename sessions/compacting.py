"""What a saved file holds: the network without its off units, numbered without gaps."""

import msgspec

from sessions.network import Layer, Network, Stage, Unit


def compacted(network: Network) -> tuple[Network, dict[str, str]]:
    """The network without its off units; kept units of a stage take the first names of their kind.

    Names that differ in their number alone are of a kind: unit1 and unit2, or se1 and se2.

    Returns the network and the new checkpoint key prefix of every layer that stays, by the old one.
    """
    moves: dict[str, str] = {}
    gone: list[str] = []
    for stage in network.stages:
        for kind in dict.fromkeys(map(_kind, stage.units)):
            alike = [unit for unit in stage.units if _kind(unit) == kind]
            kept = [unit.path for unit in alike if unit.is_on]
            moves.update(zip(kept, (unit.path for unit in alike), strict=False))
        gone.extend(unit.path for unit in stage.units if not unit.is_on)

    def rename(name: str, old: str, new: str) -> str:
        return f".{name}.".replace(f".{old}.", f".{new}.").strip(".")

    def move(layer: Layer, old: str) -> Layer:
        fields = ("path", "key", "in_axis", "out_axis")
        values = {field: rename(getattr(layer, field), old, moves[old]) for field in fields}
        return msgspec.structs.replace(layer, **values)

    def move_unit(unit: Unit) -> Unit:
        parts = ("branch", "shortcut", "tail")
        moved = {part: tuple(move(x, unit.path) for x in getattr(unit, part)) for part in parts}
        return msgspec.structs.replace(unit, path=moves[unit.path], **moved)

    stages = tuple(
        Stage(stage.path, tuple(move_unit(unit) for unit in stage.units if unit.is_on))
        for stage in network.stages
    )
    axes = {}
    for name, axis in network.axes.items():
        owner = name.rpartition(".")[0]
        if owner not in gone:
            axes[rename(name, owner, moves.get(owner, owner))] = axis
    smaller = msgspec.structs.replace(network, axes=axes, stages=stages)
    before = (layer.key for _, layer in network.layers())
    after = (layer.key for _, layer in smaller.layers())
    return smaller, {old: new for old, new in zip(before, after, strict=True) if old}


def _kind(unit: Unit) -> str:
    return unit.path.rstrip("0123456789")
