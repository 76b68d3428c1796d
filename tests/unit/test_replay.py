"""A timeline gives the same states as reducing from the start; a playback moves along it."""

import itertools
import random

import msgspec
import pytest

from sessions import events, macs
from sessions.codec import Header, Record
from sessions.edits import UnitOff
from sessions.events import LayerStats, Unknown
from sessions.log import Scan, SessionError, SessionLog
from sessions.reducer import reduce, reduce_all
from sessions.replay import SPEEDS, Playback, Timeline, rebuilt, steps
from sessions.state import SessionState
from sessions.stored_stats import KEPT


@pytest.fixture(scope="module")
def opened(published):
    network = published()
    return events.ModelOpened(
        source="m", sha256="", checkpoint="stored", network=network, weights_sha256="", stats={},
        macs=macs.count(network), ptflops_macs=0,
    )  # fmt: skip


SNAPSHOT_EVERY = 256


def progress(step, loss=1.0):
    return events.JobProgressed(job=1, phase="training", step=step, steps=9999, loss=loss)


def edited(variant):
    edit = UnitOff(f"stage2.unit{variant + 1}")
    return events.Edited(
        variant=variant, parent=variant - 1, edit=edit, macs=0, weights_sha256="", exact=True
    )


@pytest.fixture(scope="module")
def records(opened):
    """Longer than two snapshots, with an edit now and then."""
    job = events.JobQueued(job=1, job_kind="fine-tune", variant=0)
    found = [opened, job, events.JobStarted(job=1, device="cpu", steps=9999)]
    for step in range(2 * SNAPSHOT_EVERY + 40):
        found.append(edited(step // 100 + 1) if step % 100 == 50 else progress(step))
    return [Record(0.25 * index, event) for index, event in enumerate(found)]


@pytest.fixture
def short(opened):
    """Facts at 1, 3 and 4 seconds, with progress between."""
    at = [(0.0, opened), (1.0, edited(1)), (1.5, progress(1)), (2.0, progress(2))]
    at += [(3.0, edited(2)), (4.0, edited(3)), (5.0, progress(3))]
    return Playback(Timeline([Record(t, event) for t, event in at]))


def test_every_state_equals_straightforward_reduction(records):
    timeline = Timeline(records, snapshot_every=SNAPSHOT_EVERY)
    state = SessionState()
    assert timeline.state_at(0) == state
    for index, record in enumerate(records, start=1):
        state = reduce(state, record.event)
        if index % 7 == 0 or index % SNAPSHOT_EVERY < 2 or index == len(records):
            assert timeline.state_at(index) == state


def test_states_asked_for_in_any_order_are_the_same(records):
    forward, random_order = (Timeline(records, snapshot_every=SNAPSHOT_EVERY) for _ in range(2))
    rng = random.Random(8)
    for index in [len(records), 0, *rng.sample(range(len(records)), 40)]:
        wanted = reduce_all([record.event for record in records[:index]])
        assert random_order.state_at(index) == wanted == forward.state_at(index)


@pytest.mark.parametrize(
    ("times", "limit", "wanted"),
    [
        ([], 2.0, []),
        ([0.0, 1.0, 2.5], 2.0, [0.0, 1.0, 2.5]),
        ([0.0, 60.0, 61.0, 3661.0], 2.0, [0.0, 2.0, 3.0, 5.0]),
        ([100.0], 2.0, [2.0]),
        ([0.0, 5.0, 5.5], 0.5, [0.0, 0.5, 1.0]),
        ([3.0, 2.0, 2.5], 10.0, [3.0, 3.0, 3.5]),
    ],
)
def test_no_pause_is_longer_than_the_idle_limit(times, limit, wanted):
    timeline = Timeline([Record(t, progress(1)) for t in times], limit)
    assert timeline.times == pytest.approx(wanted)
    assert timeline.seconds == (timeline.times[-1] if wanted else 0.0)


def test_the_index_counts_what_has_happened(short):
    timeline = short.timeline
    found = [timeline.index_at(t) for t in (-1.0, 0.0, 0.99, 1.0, 2.9, 3.0, 5.0, 99.0)]
    assert found == [0, 1, 1, 2, 4, 5, 7, 7]


def test_playing_passes_through_every_state_to_the_end(short):
    seen = []
    while short.is_playing:
        if short.advance(0.25):
            seen.append(short.index)
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert short.is_at_end
    assert short.seconds == short.timeline.seconds
    assert short.state == short.timeline.state_at(7)


def test_time_does_not_pass_while_paused(short):
    short.play_or_pause()
    assert not short.advance(10.0)
    assert (short.index, short.seconds) == (0, 0.0)


@pytest.mark.parametrize("speed", SPEEDS)
def test_speed_scales_time(short, speed):
    short.speed = speed
    short.advance(0.5)
    assert short.seconds == min(0.5 * speed, 5.0)


@pytest.mark.parametrize(
    ("to", "seconds", "index"),
    [(-3.0, 0.0, 1), (0.0, 0.0, 1), (1.2, 1.2, 2), (3.0, 3.0, 5), (5.0, 5.0, 7), (9.0, 5.0, 7)],
)
def test_seeking_stays_on_the_timeline(short, to, seconds, index):
    short.seek(to)
    assert (short.seconds, short.index) == (seconds, index)


def test_seeking_back_gives_the_earlier_state(short):
    short.seek(1.0)
    early = short.state
    short.seek(5.0)
    assert short.state != early
    short.seek(1.0)
    assert short.state == early
    assert short.state.variants.keys() == {0, 1}


def test_stepping_skips_progress_and_pauses(short):
    forward = []
    for _ in range(6):
        short.step()
        forward.append((short.index, short.seconds))
    assert forward == [(1, 0.0), (2, 1.0), (5, 3.0), (6, 4.0), (7, 5.0), (7, 5.0)]
    assert not short.is_playing


def test_stepping_back_skips_progress_too(short):
    short.seek(5.0)
    back = []
    for _ in range(6):
        short.step(-1)
        back.append(short.index)
    assert back == [6, 5, 2, 1, 0, 0]
    assert (short.seconds, short.state) == (0.0, SessionState())


def test_stepping_on_and_back_returns(short):
    for seconds in (1.0, 3.0):
        short.seek(seconds)
        before = short.index
        short.step()
        short.step(-1)
        assert short.index == before


def test_playing_on_after_a_step_goes_on_from_there(short):
    short.step()
    short.step()
    short.play_or_pause()
    short.advance(0.5)
    assert (short.seconds, short.index) == (1.5, 3)


def test_pausing_and_playing_keeps_the_position(short):
    short.advance(1.2)
    short.play_or_pause()
    short.play_or_pause()
    assert (short.is_playing, short.seconds, short.index) == (True, 1.2, 2)


def test_playing_at_the_end_starts_over(short):
    short.seek(99.0)
    short.is_playing = False
    short.play_or_pause()
    assert (short.is_playing, short.index, short.seconds) == (True, 1, 0.0)


def test_speed_moves_by_notches_between_its_limits():
    playback = Playback(Timeline([]))
    up = [playback.change_speed(1) or playback.speed for _ in SPEEDS]
    assert up == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0, 64.0]
    down = [playback.change_speed(-1) or playback.speed for _ in SPEEDS]
    assert down == [32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("speed", "direction", "wanted"), [(3.1, 1, 8.0), (3.1, -1, 2.0), (1000.0, -1, 32.0)]
)
def test_a_speed_between_notches_moves_to_a_notch(speed, direction, wanted):
    playback = Playback(Timeline([]), speed)
    playback.change_speed(direction)
    assert playback.speed == wanted


def test_an_empty_recording_is_at_its_end():
    playback = Playback(Timeline([]))
    assert playback.is_at_end
    assert not playback.advance(1.0)
    assert not playback.is_playing
    playback.step()
    playback.step(-1)
    playback.seek(5.0)
    assert (playback.index, playback.seconds, playback.state) == (0, 0.0, SessionState())


def written(folder, records):
    log_file = SessionLog.create(folder, Header(created="", model_sha256="", seed=0))
    for record in records:
        log_file.append(record)
    log_file.close()
    return folder


STATS = {"init.conv": LayerStats(9, 0.0, 0.1, 0.0, -1.0, 1.0, (1, 2, 3))}
OTHER = {"init.conv": LayerStats(9, 0.5, 0.2, 0.0, -1.0, 1.0, (3, 2, 1))}
HEAD = {"output.conv": LayerStats(4, 0.0, 0.3, 0.0, -1.0, 1.0, (4,))}


@pytest.fixture
def with_stats(opened):
    """Statistics of the opened model, one layer's new ones, another layer's, then all anew."""
    job = events.JobQueued(job=1, job_kind="fine-tune", variant=2, result=3)
    done = events.JobFinished(job=1, checkpoint="new", stats=STATS | HEAD)
    change = msgspec.structs.replace
    found = [
        change(opened, stats=STATS), change(edited(1), stats=OTHER), change(edited(2), stats=HEAD),
        job, events.JobStarted(job=1, device="cpu", steps=9), *(progress(n) for n in range(5)),
        done, edited(4), Unknown("of-tomorrow", b'{"kind":"of-tomorrow","x":1}'),
    ]  # fmt: skip
    return [Record(0.5 * index, event) for index, event in enumerate(found)]


def test_a_session_on_disk_gives_the_same_states_as_its_records(tmp_path, with_stats):
    on_disk = Timeline(Scan(written(tmp_path, with_stats)), snapshot_every=4)
    held = Timeline(with_stats)
    for index in [*range(len(with_stats) + 1), *reversed(range(len(with_stats)))]:
        assert on_disk.state_at(index) == held.state_at(index)
    assert list(on_disk.records) == with_stats
    assert on_disk.records[-1] == with_stats[-1]
    assert on_disk.records[2:5] == with_stats[2:5]


def test_statistics_are_read_when_they_are_asked_for_and_let_go_again(tmp_path, with_stats):
    scan = Scan(written(tmp_path, with_stats))
    state = Timeline(scan).state_at(len(with_stats))
    shelf, read = scan.records._shelf, []
    real = shelf.read
    shelf.read = lambda index: read.append(index) or real(index)
    assert len(state.variants[2].stats) == 2
    assert "init.conv" in state.variants[2].stats
    assert read == []
    assert dict(state.variants[2].stats) == OTHER | HEAD
    assert sorted(set(read)) == [1, 2]
    assert dict(state.variants[3].stats) == STATS | HEAD
    assert set(read) == {1, 2, 10}
    for _ in range(2 * KEPT):  # others are looked at meanwhile
        dict(shelf.put(0, STATS))
    read.clear()
    assert dict(state.variants[2].stats) == OTHER | HEAD
    assert set(read) == {1, 2}


def test_new_statistics_go_over_those_on_disk(tmp_path, with_stats):
    state = Timeline(Scan(written(tmp_path, with_stats))).state_at(3)
    event = msgspec.structs.replace(edited(3), stats=STATS)
    after = reduce(state, event)
    assert dict(after.variants[3].stats) == STATS | HEAD
    assert after.variants[2].stats == OTHER | HEAD


def test_progress_in_a_row_comes_to_the_same_as_one_by_one(opened):
    queued = [events.JobQueued(job=n, job_kind="fine-tune", variant=0) for n in (1, 2)]
    reports = [progress(n, loss=None if n % 7 == 0 else n / 3) for n in range(900)]
    other = [msgspec.structs.replace(report, job=2) for report in reports[:5]]
    recorded = [opened, *queued, *reports[:450], *other, *reports[450:], progress(1)]
    state = SessionState()
    for event in recorded:
        state = reduce(state, event)
    assert reduce_all(recorded) == state
    assert len(state.jobs[1].losses) <= 400


@pytest.mark.parametrize("use", [Timeline, rebuilt, lambda scan: list(steps(scan))])
def test_an_event_that_does_not_fit_names_its_line_and_what_to_do(tmp_path, opened, use):
    misfit = msgspec.structs.replace(edited(1), edit=UnitOff("stage9.unit1"))
    folder = written(tmp_path, [Record(0.0, opened), Record(1.0, progress(1)), Record(2.0, misfit)])
    with pytest.raises(SessionError) as caught:
        use(Scan(folder))
    assert "line 4: it does not fit the lines before it" in str(caught.value)
    assert f"workbench branch {folder} OUT --salvage" in str(caught.value)


def test_steps_tell_the_states_around_every_record(with_stats):
    found = list(steps(with_stats))
    assert [record for _, record, _ in found] == with_stats
    assert found[0][0] == SessionState()
    assert all(a[2] is b[0] for a, b in itertools.pairwise(found))
    assert found[-1][2] == rebuilt(with_stats)


def test_jumping_goes_from_mark_to_mark_and_pauses(short):
    edits = short.timeline.marks.edits
    found = [(short.jump(edits, 1), short.index, short.seconds) for _ in range(4)]
    assert found == [(True, 2, 1.0), (True, 5, 3.0), (True, 6, 4.0), (False, 6, 4.0)]
    assert not short.is_playing
    assert short.jump(edits, -1)
    assert short.index == 5


def test_idle_times_can_be_played_and_the_moment_stays():
    playback = Playback(Timeline([Record(t, progress(1)) for t in (1.0, 61.0, 62.0)]))
    playback.seek(2.5)
    assert (playback.index, playback.skips_idle) == (1, True)
    playback.skip_idle(is_on=False)
    assert (playback.index, playback.seconds, playback.skips_idle) == (1, 2.5, False)
    playback.seek(50.0)
    playback.skip_idle(is_on=True)
    assert playback.index == 1
    assert playback.clock.index_at(playback.seconds) == 1
    playback.advance(0.5)
    assert playback.index == 2
