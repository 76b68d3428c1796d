"""Verifies a recorded session: rebuilds every variant from its stored weights and edits.

MACs are compared exactly, weights by hash, F1 within a tolerance on the recorded data.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from sessions import history, log, macs
from sessions.events import Edited, JobFinished, ModelOpened
from sessions.replay import steps
from sessions.search_events import TrialOpened
from sessions.splits import HOLD_OUT, VALIDATION, SplitName, Splits
from sessions.state import SessionState, Variant
from workbench.errors import UserError
from workbench.surgery.build import State, build
from workbench.surgery.store import Deriver, weights_sha256
from workbench.training.images.data import Dataset, open_data
from workbench.training.loop import pick_device
from workbench.training.measuring.evaluate import judge


class Check(msgspec.Struct, frozen=True):
    """One comparison of a variant with the record."""

    variant: int
    what: str
    recorded: str
    rebuilt: str
    is_equal: bool


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found."""

    session: str
    events: int
    variants: int
    checks: tuple[Check, ...]
    f1_tolerance: float
    largest_f1_error: float | None
    data: str
    """`same`, `skipped`, or `none` where the session has none."""
    is_torn: bool
    is_verified: bool


def verify(
    folder: Path,
    data: str | None = None,
    f1_tolerance: float = 0.002,
    *,
    skip_f1: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Rebuild a session and compare it with its record.

    Raises:
        SessionError: the session cannot be read.
        UserError: a checkpoint is missing or damaged, or the data is not what was recorded.
    """
    scan = log.Scan(folder)
    recorded: dict[int, tuple[int, str]] = {}
    state = SessionState()
    for before, record, state in steps(scan):  # noqa: B007 - the last one is the end
        match record.event:
            case ModelOpened() as opened:
                recorded[0] = (opened.macs, opened.weights_sha256)
            case Edited() as edited:
                recorded[edited.variant] = (edited.macs, edited.weights_sha256)
            case TrialOpened() as opened_trial:
                recorded[opened_trial.variant] = (opened_trial.macs, opened_trial.weights_sha256)
            case JobFinished(checkpoint=str()) as finished:
                job = before.jobs.get(finished.job)
                if job is not None and job.result is not None and job.variant in before.variants:
                    parent = before.variants[job.variant]
                    recorded[job.result] = (parent.macs, finished.weights_sha256)
    recording = scan.recording
    measured = None if skip_f1 else _Measured(state, recording.header.seed, data)
    derive = Deriver()
    checks: list[Check] = []
    errors: list[float] = []
    for done, (number, variant) in enumerate(state.variants.items()):
        progress(done, len(state.variants))
        if variant.is_pending:
            continue  # the session was cut off before the engine answered
        network, weights = derive(folder, history.lineage(state, number))
        if number in recorded:
            count, digest = recorded[number]
            counted = macs.count(network)
            checks.append(Check(number, "MACs", str(count), str(counted), count == counted))
            rebuilt_digest = weights_sha256(network, weights)
            checks.append(
                Check(number, "weights", digest, rebuilt_digest, digest == rebuilt_digest)
            )
        if measured is not None and variant.evaluation is not None:
            f1 = measured.f1(variant, weights)
            errors.append(abs(f1 - variant.evaluation.f1))
            is_equal = errors[-1] <= f1_tolerance
            text = f"{variant.evaluation.f1:.6f}"
            checks.append(Check(number, "F1", text, f"{f1:.6f}", is_equal))
    return Verification(
        session=str(folder),
        events=len(recording.records),
        variants=len(state.variants),
        checks=tuple(checks),
        f1_tolerance=f1_tolerance,
        largest_f1_error=max(errors) if errors else None,
        data="skipped" if skip_f1 else "same" if errors else "none",
        is_torn=recording.is_torn,
        is_verified=bool(checks) and all(check.is_equal for check in checks),
    )


class _Measured:
    """F1 on the session's data, which must be what it was."""

    def __init__(self, state: SessionState, seed: int, source: str | None) -> None:
        self._recorded = state.data
        self._source = source or (state.data.source if state.data is not None else "")
        recorded = state.data.splits if state.data is not None else None
        self._splits = recorded or Splits(seed=seed)
        self._data: dict[int, Dataset] = {}

    def f1(self, variant: Variant, weights: State) -> float:
        network = variant.network
        if network.input_size not in self._data:
            self._data[network.input_size] = self._opened(
                network.input_size, network.input_channels
            )
        data = self._data[network.input_size]
        device = pick_device("cpu")
        recorded = variant.evaluation.split if variant.evaluation is not None else VALIDATION
        split: SplitName = "hold-out" if recorded == HOLD_OUT else "validation"
        return judge(build(network, weights), network, data, device, split).f1

    def _opened(self, size: int, channels: int) -> Dataset:
        try:
            data = open_data(self._source, size, channels, self._splits)
        except UserError as error:
            raise UserError(
                f"{error}; name its new place with --data, or leave F1 out with --skip-f1"
            ) from error
        recorded = self._recorded
        if recorded is not None and data.fingerprint != recorded.fingerprint:
            raise UserError(
                f"the images of {self._source} are not those of the session: name the right "
                "folder with --data, or leave F1 out with --skip-f1"
            )
        return data
