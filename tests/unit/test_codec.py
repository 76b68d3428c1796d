"""Events, commands and headers as lines: what is written reads back, what is unknown is kept."""

import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import codec, commands, edits, events, search_events
from sessions.codec import CodecError, Header, Record
from sessions.events import ClassScore, Evaluation, LayerStats, Skipped, Unknown
from sessions.recipe import Recipe
from sessions.score import Rule
from sessions.searching import Measured, ScanPlan, Space, StudyPlan, Trial, Trust
from sessions.splits import Splits
from sessions.steering import Steering
from workbench.surgery.families import shufflenet

NETWORK = shufflenet.fresh(units=(1, 2, 1), classes=3)
STATS = {"init.conv": LayerStats(162, -0.1, 0.25, 0.01, -1.5, 1e-9, (1, 0, 161))}
EVALUATION = Evaluation(
    split="validation",
    images=7,
    f1=0.1 + 0.2,
    accuracy=1 / 3,
    classes=(ClassScore("gläser", 0.5, 0.25, 1.0, 4), ClassScore('a "b"\n', 0.0, 0.0, 0.0, 3)),
)
RECIPE = Recipe(images_per_epoch=0, epochs=3, learning_rate=1e-5, augmentation="strong", seed=11)
ALL_EDITS = (
    edits.UnitOff("stage2.unit2"),
    edits.UnitOn("stage2.unit2"),
    edits.Head("conv"),
    edits.Classes(9, seed=5),
    edits.InputSize(80),
    edits.Width("stage3", 210, criterion="taylor", scores="fa" * 32),
    edits.Mid("stage2.unit4", 24, criterion="random", seed=7),
    edits.Groups("stage3.unit2.expand", 1, criterion="bn"),
    edits.Kernel("stage1", 5),
    edits.Widen("stage2.unit4", 36, seed=3),
    edits.Rank("init.conv", (2, 4)),
    edits.Rank("output.head", rule="90%"),
)
SCAN = ScanPlan(candidates=tuple((edit,) for edit in ALL_EDITS), images=64)
STUDY = StudyPlan(
    start="cells",
    space=Space(units=False, input_sizes=(64, 80), recipe=("dropout",)),
    rule=Rule(name="x", base_macs=9, base_f1=0.5),
    is_front=True,
    trials=3,
    minutes=1.5,
    max_macs=10**6,
    storage="sqlite:///유리.db",
)
MEASURED = Measured(
    edits=ALL_EDITS[5:7],
    macs=5,
    f1=0.1 + 0.2,
    low=0.25,
    high=1 / 3,
    loss=1e-9,
    images=7,
    kept=0.75,
    seconds=0.5,
)
TRIAL = Trial(
    number=7,
    state="pruned",
    parameters={"stage1.units": 3, "dropout": 0.1, "loss": "focal", "is_wide": True},
    edits=ALL_EDITS,
    recipe=RECIPE,
    macs=5,
    evaluation=EVALUATION,
    score=1e-5,
    checkpoint="56",
    reason="behind",
    seconds=2.5,
    worker="gpu-1",
)
EVENTS = (
    events.ModelOpened(
        source="modèle.pt",
        sha256="ab" * 32,
        checkpoint="cd" * 32,
        network=NETWORK,
        weights_sha256="ef" * 32,
        stats=STATS,
        macs=1_688_940,
        ptflops_macs=1_688_949,
        notes=("one", "two"),
        seconds=0.25,
    ),
    events.DataOpened(
        source="data",
        fingerprint="12" * 32,
        classes=("a", "b"),
        train_images=8,
        val_images=2,
        hold_out_images=3,
        splits=Splits(seed=2),
        size=80,
        skipped=(Skipped("a/x.jpg", "empty file"),),
        skipped_count=21,
        seconds=1.5,
    ),
    events.DataRequested(source="data"),
    events.DataFailed(source="data", reason="none"),
    events.DataProgressed(done=64, total=100),
    *(events.EditRequested(variant=2, parent=1, edit=edit) for edit in ALL_EDITS),
    *(
        events.Edited(
            variant=2,
            parent=1,
            edit=edit,
            macs=5,
            weights_sha256="34",
            exact=False,
            max_error=1e-7,
            lost=("biases",),
            kept=0.1 + 0.7,
            kept_layers={"stage3.unit2.compress_conv1": 1 / 3},
            stats=STATS,
            is_preparation=True,
            seconds=0.01,
        )
        for edit in ALL_EDITS
    ),
    *(events.EditRejected(variant=2, parent=1, edit=e, reason="it stays") for e in ALL_EDITS),
    events.VariantSelected(variant=0),
    events.VariantNamed(variant=2, name='"läng" 2'),
    events.RanksDescribed(variant=2, layer="init.conv", kept=(0.5, 1.0), auto=(2, 4)),
    events.CutDescribed(
        variant=2,
        edit=ALL_EDITS[5],
        kept=0.75,
        kept_layers={"stage3.unit2.compress_conv1": 1 / 3},
        exact=True,
        channels=(events.ChannelFates("stage3", "kkmc", 2),),
        reason="none",
    ),
    events.SamplesDrawn(edge=1, rows=((b"\x00\xff\x10",),), names=("glass",), reason="none"),
    events.ChannelsDescribed(
        variant=2, axis="stage2", criterion="l2", importance=(0.5, 1.5), taken=(0,), reason="none"
    ),
    events.ActivationsMeasured(variant=2, images=8, stds={"stage2": (0.25, 1.0)}, reason="none"),
    events.ConfusedDrawn(
        variant=2,
        true=1,
        predicted=3,
        split="validation",
        total=3,
        edge=1,
        images=(b"\x00\xff\x10",),
        names=("glass/유리.jpg",),
        confidences=(0.75,),
        reason="none",
    ),
    events.JobQueued(
        job=1,
        job_kind="fine-tune",
        variant=2,
        result=3,
        recipe=RECIPE,
        teacher=1,
        is_automatic=True,
    ),
    events.JobStarted(job=1, device="cpu", steps=100, from_step=40),
    events.JobProgressed(
        job=1,
        phase="training",
        step=41,
        steps=100,
        epoch=0.41,
        loss=2.5,
        images_per_s=512.5,
        left_s=12.0,
    ),
    events.CheckpointWritten(job=1, step=50, epoch=0.5),
    events.Evaluated(job=1, evaluation=EVALUATION, epoch=0.5, rung=events.REPAIR),
    events.JobFinished(
        job=1,
        is_stopped=True,
        checkpoint="56",
        weights_sha256="78",
        stats=STATS,
        evaluation=EVALUATION,
        scores="fa" * 32,
        reason="the loss became infinite",
        seconds=60.0,
    ),
    events.JobPaused(job=1),
    events.JobFailed(job=1, reason="the loss became nan"),
    events.JobCancelled(job=1),
    events.ModelSaved(
        variant=2,
        path="out.pt",
        sha256="9a",
        bytes=12,
        macs=5,
        ptflops_macs=5,
        renamed={"stage1.unit3": "stage1.unit2"},
    ),
    events.CommandFailed(command="save-model", reason="no space"),
    events.ProcessExited(process="trainer", code=-9, reason="was killed"),
    events.RuleChosen(rule=Rule(name="x", base_macs=9, base_f1=0.5, cliff=0.1, halved_from=0.4)),
    events.RecipeChosen(recipe=RECIPE),
    events.SessionResumed(),
    *(
        search_events.SearchStarted(search=3, variant=2, plan=plan, recipe=RECIPE)
        for plan in (SCAN, STUDY)
    ),
    search_events.SearchProgressed(search=3, done=4, total=9, doing="stage1 width 30", left_s=2.5),
    search_events.CandidateMeasured(search=3, measured=MEASURED),
    search_events.TrialFinished(search=3, trial=TRIAL),
    search_events.SearchFinished(
        search=3,
        is_stopped=True,
        reason="no space",
        trust=(Trust(criterion="l1", rho=-0.1, low=-0.5, high=0.3, candidates=13, over="cuts"),),
        seconds=1.5,
    ),
    search_events.TrialOpened(
        variant=4,
        parent=2,
        search=3,
        trial=7,
        checkpoint="56",
        network=NETWORK,
        macs=5,
        weights_sha256="78",
        stats=STATS,
        evaluation=EVALUATION,
    ),
    search_events.AutopilotStarted(
        variant=2, steering=Steering(by="std", score=0.25, is_units_only=True, look_ahead=0)
    ),
    search_events.AutopilotEnded(reason="you took over", is_reached=True),
)
LINEAGE = commands.Lineage("ab", ALL_EDITS)
COMMANDS = (
    commands.OpenModel(path="m.pt", folder="s", input_size=80),
    *(
        commands.ApplyEdit(
            folder="s", variant=2, parent=1, lineage=LINEAGE, edit=edit, is_preparation=True
        )
        for edit in ALL_EDITS
    ),
    commands.DescribeRanks(folder="s", variant=2, lineage=LINEAGE, layer="init.conv"),
    commands.DescribeCuts(folder="s", variant=2, lineage=LINEAGE, edits=ALL_EDITS),
    commands.SaveModel(folder="s", variant=2, lineage=LINEAGE, path="out.pt"),
    commands.OpenData(source="digits", size=80, channels=1, splits=Splits(seed=3)),
    commands.DescribeChannels(
        folder="s",
        variant=2,
        lineage=LINEAGE,
        axis="stage2",
        criterion="taylor",
        scores="cd",
        edit=edits.Mid("stage2.unit4", 24),
    ),
    commands.MeasureActivations(
        folder="s", variant=2, lineage=LINEAGE, data="d", splits=Splits(), images=8
    ),
    commands.DrawConfused(
        folder="s",
        variant=2,
        lineage=LINEAGE,
        data="d",
        splits=Splits(),
        true=1,
        predicted=3,
        photos=6,
        edge=16,
    ),
    commands.DrawSamples(
        folder="s",
        lineage=LINEAGE,
        recipe=RECIPE,
        data="digits",
        splits=Splits(seed=2),
        photos=6,
        copies=4,
        edge=24,
    ),
    commands.RunJob(
        folder="s",
        job=4,
        job_kind="recover",
        lineage=LINEAGE,
        recipe=RECIPE,
        data="digits",
        splits=Splits(seed=2),
        device="cuda",
        teacher=LINEAGE,
        is_climb=True,
    ),
    commands.StopJob(job=4, is_pause=True),
    commands.EvaluateNow(),
    commands.RunSearch(
        folder="s",
        search=3,
        lineage=LINEAGE,
        plan=STUDY,
        recipe=RECIPE,
        data="digits",
        splits=Splits(seed=2),
        device="cuda",
        done=(MEASURED,),
        told=(0, 2),
    ),
    commands.StopSearch(search=3),
    commands.OpenTrial(
        folder="s", parent=2, search=3, trial=7, checkpoint="56", evaluation=EVALUATION
    ),
)
HEADER = Header(created="2025-01-01T00:00:00+00:00", model_sha256="ab", seed=3, versions={"a": "1"})


def tag(kind):
    return kind.__struct_config__.tag


def name(value):
    return f"{tag(type(value))}-{type(getattr(value, 'edit', None)).__name__}"


def unknown(text):
    line = text.encode()
    return Unknown(json.loads(text)["kind"], line)


def required_only(kind):
    """A value of the type that sets nothing which has a default."""
    given = next(value for value in (*EVENTS, *COMMANDS) if type(value) is kind)
    fields = [field.name for field in msgspec.structs.fields(kind) if field.required]
    return kind(**{field: getattr(given, field) for field in fields})


def test_the_examples_cover_every_kind_and_every_edit():
    assert {tag(type(event)) for event in EVENTS} == codec.KINDS
    assert {type(command) for command in COMMANDS} == set(get_args(commands.AnyCommand))
    assert {type(edit) for edit in ALL_EDITS} == set(get_args(edits.Edit))


def test_the_examples_leave_no_field_at_its_default():
    for value in (*EVENTS, *COMMANDS):
        plain = required_only(type(value))
        for field in msgspec.structs.fields(value):
            if not field.required:
                assert getattr(value, field.name) != getattr(plain, field.name), (value, field)


@pytest.mark.parametrize("event", EVENTS, ids=name)
def test_an_event_reads_back(event):
    line = codec.encode(event)
    assert codec.decode_event(line) == event
    assert b"\n" not in line
    assert json.loads(line)["kind"] == tag(type(event))


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_a_command_reads_back(command):
    line = codec.encode(command)
    assert codec.decode_command(line) == command
    assert b"\n" not in line


@pytest.mark.parametrize("kind", get_args(events.AnyEvent), ids=tag)
def test_an_event_with_defaults_reads_back_without_them(kind):
    event = required_only(kind)
    assert codec.decode_event(codec.encode(event)) == event
    needed = {f.name for f in msgspec.structs.fields(kind) if f.required}
    smallest = {k: v for k, v in json.loads(codec.encode(event)).items() if k in needed}
    assert codec.decode_event(json.dumps({"kind": tag(kind), **smallest}).encode()) == event


@pytest.mark.parametrize("event", EVENTS, ids=name)
def test_a_record_reads_back(event):
    record = Record(12.345, event)
    assert codec.decode_record(codec.encode_record(record)) == record


def test_a_header_reads_back():
    assert codec.decode_header(codec.encode(HEADER)) == HEADER


@given(st.floats(0, 1e7), st.text(), st.integers(0, 2**53), st.floats(allow_nan=False, width=64))
def test_any_text_and_number_reads_back(t, text, number, loss):
    loss = None if loss in (float("inf"), float("-inf")) else loss
    event = events.JobProgressed(job=number, phase=text, step=0, steps=1, loss=loss)
    record = codec.decode_record(codec.encode_record(Record(t, event)))
    assert record.event == event
    assert record.t == round(t, 3)


UNKNOWN = (
    '{"kind":"unit-merged"}',
    '{ "kind" : "unit-merged" ,\t"b":[1.50, 1e3,  null], "a":{"kind":"edited"}}',
    '{"kind":"später","text":"\\u00e9 é \\n"}',
    '{"z":1,"kind":"of-tomorrow"}',
)


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_unknown_kind_passes_through_byte_for_byte(text):
    event = codec.decode_event(text.encode())
    assert event == unknown(text)
    assert codec.encode(event) == text.encode()
    line = codec.encode_record(Record(1.5, event))
    assert codec.decode_record(line) == Record(1.5, event)
    assert codec.encode_record(codec.decode_record(line)) == line
    assert text.encode() in line


def test_an_unknown_field_of_a_known_kind_is_ignored():
    line = b'{"kind":"variant-selected","variant":3,"of_tomorrow":[1,2]}'
    assert codec.decode_event(line) == events.VariantSelected(variant=3)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not an event"),
        (b"{", "not an event"),
        (b"[]", "not an event"),
        (b"{}", "not an event"),
        (b'{"kind":3}', "not an event"),
        (b'{"variant":3}', "not an event"),
        (b"\xff\xfe", "not an event"),
        (b'{"kind":"\xff"}', "not an event"),
        (b'{"kind":"unit-merged"', "not an event"),
        (b'{"kind":"data-failed","source":"\xff","reason":""}', "event|not an event"),
        (b'{"kind":"deep","a":' + b"[" * 10**5 + b"]" * 10**5 + b"}", "not an event"),
        (b'{"kind":"variant-selected"}', "event 'variant-selected': .*variant"),
        (b'{"kind":"variant-selected","variant":"3"}', "event 'variant-selected'"),
        (b'{"kind":"variant-selected","variant":3', "not an event"),
        (b'{"kind":"job-started","job":1,"device":"cpu","steps":null}', "event 'job-started'"),
    ],
)
def test_a_line_that_is_no_event_is_an_error(line, reason):
    with pytest.raises(CodecError, match=reason):
        codec.decode_event(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"t":1}',
        b'{"event":{"kind":"x"}}',
        b'{"t":"1","event":{}}',
        b'{"t":1,"event":{"kind":"\xff"}}',
    ],
)
def test_a_line_that_is_no_record_is_an_error(line):
    with pytest.raises(CodecError):
        codec.decode_record(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"kind":"fly"}',
        b'{"kind":"open-model"}',
        b'{"kind":"edited"}',
        b'{"kind":"\xff"}',
    ],
)
def test_a_line_that_is_no_command_is_an_error(line):
    with pytest.raises(CodecError, match="not a command"):
        codec.decode_command(line)


def test_a_header_of_a_newer_version_is_refused_with_the_way_out():
    newer = msgspec.structs.replace(HEADER, version=codec.VERSION + 1)
    with pytest.raises(CodecError, match=r"newer workbench .*upgrade"):
        codec.decode_header(codec.encode(newer))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"t":0,"event":{"kind":"session-resumed"}}',
        codec.encode(msgspec.structs.replace(HEADER, format="asciicast")),
        codec.encode(HEADER).replace(b"2025", b"\xff"),
    ],
)
def test_a_line_that_is_no_header_is_refused(line):
    with pytest.raises(CodecError, match="not a session"):
        codec.decode_header(line)


def test_kinds_have_names_of_their_own():
    assert len(codec.KINDS) == len(get_args(events.AnyEvent))
    assert not codec.KINDS & {tag(kind) for kind in get_args(commands.AnyCommand)}


def test_facts_that_only_bridge_time_are_neither_logged_nor_durable():
    kinds = get_args(events.AnyEvent)
    assert not events.DataProgressed.is_logged
    assert all(not kind.is_durable for kind in kinds if not kind.is_logged)
    assert all(
        kind.is_durable
        for kind in (events.Edited, events.Evaluated, events.CheckpointWritten, events.JobFinished)
    )
