"""Networks of cells: edits equal the masked original, files read back, MACs are the tools'.

The original is that of cell_reference.py, which knows nothing of the workbench.
"""

import random

import msgspec
import pytest
import torch
from cell_oracle import CellOracle, make_cell_case
from cell_reference import CellReference
from drawing import MASKING, carried, drawn
from hypothesis import given, note
from hypothesis import strategies as st
from reference import SEEDS, assert_identical, logits, random_cases, relative_error
from test_conventions import BY_OTHERS, BY_PTFLOPS, by_ptflops

from sessions import edits, macs
from sessions.edits import EditError, Head, Rank, UnitOff, UnitOn
from sessions.network import replace_unit
from workbench.errors import UserError
from workbench.surgery.build import build, expected_shapes, run
from workbench.surgery.carry import carry, checked_error, masked_error
from workbench.surgery.exporting.export import export
from workbench.surgery.families import cells
from workbench.surgery.files import read_model, save
from workbench.training.measuring.folding import fold

replace = msgspec.structs.replace
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}
PLAN = cells.Plan(
    init_width=8,
    classes=5,
    input_size=32,
    init_activation="hard_swish",
    stages=(
        cells.StagePlan(
            12,
            (
                cells.Cell(op="separable", stride=2, activation="silu", squeeze=3),
                cells.Cell(op="inverted", mid=24, activation="hard_swish", squeeze=3),
                cells.Cell(op="inverted", mid=18, kernel=5, squeeze=2),
            ),
        ),
        cells.StagePlan(
            16,
            (
                cells.Cell(op="maxpool", stride=2),
                cells.Cell(op="bottleneck", mid=8),
                cells.Cell(op="conv", squeeze=4),
            ),
        ),
    ),
)


@pytest.fixture
def network():
    return cells.make(PLAN)


@pytest.fixture
def state(network, random_state):
    return random_state(network, 0)


@random_cases(40)
@given(SEEDS)
def test_a_network_of_cells_computes_what_its_reference_does(seed):
    case = make_cell_case(seed)
    shapes = {name: tuple(value.shape) for name, value in case.state.items()}
    assert shapes == expected_shapes(case.network)
    wanted = case.reference.logits(case.images.double(), _double(case.reference), set())
    assert relative_error(logits(case.opened, case.images).double(), wanted) <= 1e-4
    folded = fold(build(case.network, case.state))
    with torch.inference_mode():
        assert relative_error(folded(case.images).double(), wanted) <= 1e-4
        by_layer = run(case.network, case.state, case.images)
    assert relative_error(by_layer.double(), wanted) <= 1e-4


@random_cases(60)
@given(SEEDS, st.lists(SEEDS, min_size=1, max_size=8))
def test_edits_in_a_row_equal_the_masked_original(seed, edit_seeds):
    case = make_cell_case(seed)
    at, steps = case.opened, []
    for mixed in enumerate(edit_seeds):
        steps.append(drawn(random.Random(f"{seed} {mixed}"), at.network, MASKING))
        at = carried(at, steps[-1], seed)
        assert checked_error(at, steps[-1]) <= TOLERANCES[torch.float32]
    note(" ".join(map(edits.text, steps)))
    for dtype, tolerance in TOLERANCES.items():
        state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in case.state.items()}
        at = replace(case.opened, state=state)
        oracle = CellOracle(case.reference, at)
        for step in steps:
            at = carried(at, step, seed)
            oracle.follow(step, at)
        images = case.images.to(dtype)
        assert relative_error(logits(at, images), oracle.logits(images)) <= tolerance


def test_the_random_cases_have_every_cell_and_edits_of_every_kind():
    places, kinds = [], set()
    for seed in range(60):
        case = make_cell_case(seed)
        places += case.reference.places
        kinds |= {type(drawn(random.Random(f"{seed} {n}"), case.network)) for n in range(9)}
    assert {place.op for place in places} == set(cells.OPS)
    assert {place.activation for place in places} == set(cells.ACTIVATIONS)
    assert {bool(place.squeeze) for place in places} == {True, False}
    assert kinds == {*edits.RESHAPES.values(), UnitOff, Head, Rank, edits.Classes, edits.InputSize}


def test_a_gate_that_is_off_is_the_identity_and_comes_back_bit_for_bit(network, state):
    off = carry(network, state, UnitOff("stage1.se1"))
    assert off.exact
    assert masked_error(off) <= 1e-6
    x = torch.randn(2, 3, 32, 32)
    open_state = dict(state)
    open_state["stage1.se1.excite_conv.weight"] = torch.zeros(12, 3, 1, 1)
    open_state["stage1.se1.excite_conv.bias"] = torch.full((12,), 9.0)
    with torch.inference_mode():
        found = build(off.network, off.state)(x)
        assert torch.equal(found, build(network, open_state)(x))
        assert not torch.allclose(found, build(network, state)(x))
    back = carry(off.network, off.state, UnitOn("stage1.se1"))
    assert back.network == network
    assert_identical(back.state, state)


def test_a_gate_whose_biases_are_missing_stays(network):
    unit = network.units["stage1.se1"]
    branch = tuple(replace(x, has_bias=False) if x.kind == "conv" else x for x in unit.branch)
    other = replace_unit(network, replace(unit, branch=branch))
    with pytest.raises(EditError, match=r"stage1\.se1 stays"):
        edits.apply(other, UnitOff("stage1.se1"))


def test_a_cell_without_a_shortcut_says_so(network):
    with pytest.raises(EditError, match="conv3 stays: no shortcut leads around it; can be off"):
        edits.apply(network, UnitOff("stage2.conv3"))


def test_a_stage_does_not_mean_the_insides_of_its_gates(network):
    mids = edits.apply(network, edits.parse("mid:stage1=12"))
    assert {mids.width(f"stage1.inverted{n}.mid") for n in (2, 3)} == {12}
    assert mids.width("stage1.se1.mid") == 3
    grouped = edits.apply(network, edits.parse("groups:stage1=2"))
    assert grouped.units["stage1.se1"] == network.units["stage1.se1"]
    inner = edits.apply(network, edits.parse("mid:stage1.se1=2"))
    assert inner.width("stage1.se1.mid") == 2


def test_two_bottlenecks_of_a_unit_are_cut_together_and_not_widened(network):
    cut = edits.apply(network, edits.parse("mid:stage2.bottleneck2=5"))
    unit = "stage2.bottleneck2"
    assert cut.width(f"{unit}.mid") == cut.width(f"{unit}.mid2") == 5
    with pytest.raises(EditError, match="it has 2 bottlenecks"):
        edits.apply(network, edits.parse(f"widen:{unit}=12"))


@pytest.mark.parametrize("layer", ["stage1.se1.excite_conv", "stage2.conv3.conv"])
def test_layers_of_cells_are_decomposed(network, state, layer):
    edit = Rank(layer, (2,) if "se1" in layer else (4, 5))
    done = carry(network, state, edit)
    assert checked_error(done, edit) <= 1e-5
    if "se1" in layer:
        off = carry(done.network, done.state, UnitOff("stage1.se1"))
        assert checked_error(off, UnitOff("stage1.se1")) <= 1e-5


def test_saved_and_read_back_it_is_the_same_network(network, state, tmp_path):
    for name in ("net.pt", "net.safetensors"):
        save(tmp_path / name, network, state)
        again = read_model(tmp_path / name)
        assert again.network == network
        assert_identical(again.state, state)


def test_names_stay_those_of_their_kind_where_units_before_them_are_off(network, state, tmp_path):
    at = carry(network, state, UnitOff("stage1.inverted2"))
    at = carry(at.network, at.state, UnitOff("stage1.se1"))
    saved = save(tmp_path / "net.pt", at.network, at.state)
    assert saved.renamed == {
        "stage1.inverted3": "stage1.inverted2",
        "stage1.se2": "stage1.se1",
        "stage1.se3": "stage1.se2",
    }
    again = read_model(tmp_path / "net.pt")
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        found = build(again.network, again.state)(x)
        assert torch.allclose(found, build(at.network, at.state)(x), atol=1e-6)


def test_weights_alone_are_no_network_of_cells(state, tmp_path):
    torch.save(state, tmp_path / "bare.pt")
    with pytest.raises(UserError, match="without its structure"):
        read_model(tmp_path / "bare.pt")


def test_a_scale_that_is_no_gate_is_refused(network, state, tmp_path):
    unit = network.units["stage1.se1"]
    other = replace_unit(network, replace(unit, branch=unit.branch[:-1]))
    torch.save(
        {
            "format": "workbench-model",
            "network": msgspec.json.encode(other).decode(),
            "state_dict": state,
        },
        tmp_path / "net.pt",
    )
    with pytest.raises(UserError, match="does not end as a gate"):
        read_model(tmp_path / "net.pt")


@pytest.mark.parametrize("suffix", [".onnx", ".pt2", ".py", ".safetensors"])
def test_an_exported_file_puts_out_the_same_logits(network, state, tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    at = carry(network, state, UnitOff("stage1.se2"))
    export(tmp_path / f"net{suffix}", at.network, at.state)  # raises where the logits differ
    assert (tmp_path / f"net{suffix}").stat().st_size > 0


@pytest.mark.parametrize("convention", [*BY_PTFLOPS, *BY_OTHERS])
@pytest.mark.filterwarnings("ignore")
def test_macs_are_those_of_the_tools(convention):
    for seed in range(8):
        network = make_cell_case(seed).network
        if convention in BY_PTFLOPS:
            real = by_ptflops(network, convention)
        else:
            real = BY_OTHERS[convention](network)
        assert macs.count(network, convention) == real


def _double(reference: CellReference) -> dict[str, torch.Tensor]:
    return {name: value.double() for name, value in reference.state.items()}
