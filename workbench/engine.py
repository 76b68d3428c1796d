"""The engine: reads models, carries weights over edits, takes statistics, writes files.

It keeps nothing that a lineage does not name, so that a restarted engine goes on at once.
"""

import gc
import os
import time
from pathlib import Path

import msgspec

from sessions.commands import (
    AnyCommand,
    ApplyEdit,
    DescribeChannels,
    DescribeCuts,
    DescribeRanks,
    Lineage,
    OpenModel,
    OpenTrial,
    SaveModel,
)
from sessions.edits import Edit, EditError
from sessions.events import (
    ChannelsDescribed,
    CommandFailed,
    CutDescribed,
    Edited,
    EditRejected,
    ModelOpened,
    ModelSaved,
    RanksDescribed,
)
from sessions.search_events import TrialOpened
from workbench.child import ENGINE_NICE, Channel, keep_freed_memory, lower_priority
from workbench.errors import UserError


class Engine:
    """Answers one command after the other; what cuts would keep, while nothing else waits."""

    def __init__(self, channel: Channel) -> None:
        import torch

        from workbench.surgery.store import Deriver

        torch.set_num_threads(1)  # milliseconds of work; the cores belong to training
        self.channel = channel
        self.derive = Deriver()
        self._cuts: tuple[DescribeCuts, list[Edit]] | None = None
        """What was asked of cuts last, and those not described yet."""

    def serve(self) -> None:
        """Work until the parent is gone."""
        while not self.channel.is_parent_gone:
            command = self.channel.poll() if self._cuts is not None else self.channel.next()
            if command is not None:
                self.handle(command)
            elif self._cuts is not None:
                self._describe_next_cut()

    def handle(self, command: AnyCommand) -> None:
        """Carry out a command and send what came of it; an error is an answer too."""
        try:
            match command:
                case OpenModel():
                    self.open_model(command)
                case ApplyEdit():
                    self._cuts = None  # what was looked at before it is made
                    self.apply_edit(command)
                case DescribeCuts():
                    self._cuts = (command, list(command.edits)) if command.edits else None
                case DescribeRanks():
                    self.describe_ranks(command)
                case DescribeChannels():
                    self.describe_channels(command)
                case SaveModel():
                    self.save_model(command)
                case OpenTrial():
                    self.open_trial(command)
        except (UserError, EditError) as error:
            self._fail(command, error)

    def open_model(self, command: OpenModel) -> None:
        """Read a model file and keep a copy of its weights in the session."""
        from sessions import macs
        from workbench.surgery import files, stats, store

        started = time.perf_counter()
        model = files.read_model(Path(command.path), command.input_size)
        self.channel.send(
            ModelOpened(
                source=command.path,
                sha256=model.sha256,
                checkpoint=store.put(Path(command.folder), model.network, model.state),
                network=model.network,
                weights_sha256=store.weights_sha256(model.network, model.state),
                stats=stats.layer_stats(model.network, model.state),
                macs=macs.count(model.network),
                ptflops_macs=stats.ptflops_macs(model.network),
                notes=model.notes,
                seconds=time.perf_counter() - started,
            )
        )
        make_ready()

    def apply_edit(self, command: ApplyEdit) -> None:
        """Carry, check against the masked original, answer."""
        from sessions import macs
        from workbench.surgery import carry, stats, store

        started = time.perf_counter()
        try:
            network, state = self.derive(Path(command.folder), command.lineage)
            measured = store.get_scores(Path(command.folder), command.edit)
            carried = carry.carry(network, state, command.edit, measured)
            error = carry.checked_error(carried, command.edit)
        except (UserError, EditError) as refusal:
            self.channel.send(
                EditRejected(
                    variant=command.variant,
                    parent=command.parent,
                    edit=command.edit,
                    reason=str(refusal),
                )
            )
            return
        edited = Lineage(command.lineage.checkpoint, (*command.lineage.edits, command.edit))
        self.derive.remember(Path(command.folder), edited, carried)
        self.channel.send(
            Edited(
                variant=command.variant,
                parent=command.parent,
                edit=command.edit,
                macs=macs.count(carried.network),
                weights_sha256=store.weights_sha256(carried.network, carried.state),
                exact=carried.exact,
                max_error=error,
                lost=carried.lost,
                kept=carried.kept_share,
                kept_layers=carried.kept,
                stats=stats.layer_stats(carried.network, carried.state, carried.changed),
                is_preparation=command.is_preparation,
                seconds=time.perf_counter() - started,
            )
        )

    def open_trial(self, command: OpenTrial) -> None:
        """Describe a trial's stored network."""
        from sessions import macs
        from workbench.surgery import stats, store

        network, state = store.get(Path(command.folder), command.checkpoint)
        self.channel.send(
            TrialOpened(
                parent=command.parent,
                search=command.search,
                trial=command.trial,
                checkpoint=command.checkpoint,
                network=network,
                macs=macs.count(network),
                weights_sha256=store.weights_sha256(network, state),
                stats=stats.layer_stats(network, state),
                evaluation=command.evaluation,
            )
        )

    def describe_ranks(self, command: DescribeRanks) -> None:
        """Tell what every rank of a layer would keep."""
        from sessions import decomposing
        from sessions.edits import Rank
        from workbench.surgery import decompose

        network, state = self.derive(Path(command.folder), command.lineage)
        layer = decomposing.decomposable(network, command.layer)
        chosen = decompose.chosen(network, state, Rank(command.layer, rule=decompose.AUTO))
        self.channel.send(
            RanksDescribed(
                variant=command.variant,
                layer=command.layer,
                kept=tuple(decompose.kept_by_rank(network, state, layer)),
                auto=chosen.ranks,
            )
        )

    def describe_channels(self, command: DescribeChannels) -> None:
        """Tell the importance of channels, and which of them a cut would take."""
        from workbench.surgery import channels, store

        described = ChannelsDescribed(
            variant=command.variant, axis=command.axis, criterion=command.criterion
        )
        try:
            network, state = self.derive(Path(command.folder), command.lineage)
            scores = store.named_scores(Path(command.folder), command.scores, command.criterion)
            found = channels.describe(
                network, state, command.axis, command.criterion, command.edit, scores
            )
        except (UserError, EditError) as error:
            self.channel.send(msgspec.structs.replace(described, reason=str(error)))
            return
        self.channel.send(
            msgspec.structs.replace(described, importance=found.importance, taken=found.taken)
        )

    def _describe_next_cut(self) -> None:
        """Describe one of the cuts that were asked about, so that a command can come between."""
        from workbench.surgery import carry, store
        from workbench.surgery.fates import channel_fates

        assert self._cuts is not None
        command, waiting = self._cuts
        edit = waiting.pop(0)
        if not waiting:
            self._cuts = None
        folder = Path(command.folder)
        try:
            network, state = self.derive(folder, command.lineage)
        except (UserError, EditError) as error:
            self._cuts = None  # it would be the same with all others
            self._fail(command, error)
            return
        try:
            carried = carry.carry(network, state, edit, store.get_scores(folder, edit))
        except (UserError, EditError) as refusal:
            self.channel.send(CutDescribed(variant=command.variant, edit=edit, reason=str(refusal)))
            return
        self.channel.send(
            CutDescribed(
                variant=command.variant,
                edit=edit,
                kept=carried.kept_share,
                kept_layers=carried.kept,
                exact=carried.exact,
                channels=channel_fates(network, carried.network, carried.orders),
            )
        )

    def _fail(self, command: AnyCommand, error: Exception) -> None:
        name = type(command).__struct_config__.tag
        self.channel.send(CommandFailed(command=str(name), reason=str(error)))

    def save_model(self, command: SaveModel) -> None:
        """Write what is on and have ptflops count it."""
        from sessions import macs
        from workbench.surgery import files, stats

        network, state = self.derive(Path(command.folder), command.lineage)
        saved = files.save(Path(command.path), network, state)
        self.channel.send(
            ModelSaved(
                variant=command.variant,
                path=command.path,
                sha256=saved.sha256,
                bytes=saved.bytes,
                macs=macs.count(saved.network),
                ptflops_macs=stats.ptflops_macs(saved.network),
                renamed=saved.renamed,
            )
        )


def make_ready() -> None:
    """Load what edits need, and spare the collector from walking over it again and again."""
    import workbench.surgery.carry  # noqa: F401

    gc.collect()
    gc.freeze()


def main() -> None:
    """Serve commands until the parent is gone."""
    keep_freed_memory()
    lower_priority(ENGINE_NICE)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported
    Engine(Channel()).serve()


if __name__ == "__main__":
    main()
