"""Reading what users have, refusing what nobody should load, writing whole files or none."""

import json
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import msgspec
import pytest
import safetensors.torch
import torch
from torch import nn

import workbench
from sessions import edits, macs
from sessions import network as net
from sessions.compacting import compacted
from workbench.errors import UserError
from workbench.surgery import files
from workbench.surgery.build import build
from workbench.surgery.carry import carry
from workbench.surgery.families import shufflenet


@pytest.fixture(scope="module")
def network():
    return net.sized(shufflenet.fresh(units=(1, 3, 2), classes=5), 224)


@pytest.fixture
def state(network, random_state):
    return random_state(network, 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


def saved(path, value):
    torch.save(value, path)
    return path


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        files.read_model(path, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def assert_same_weights(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


# Reading


def nested(state):
    return {"epoch": 3, "optimizer": {"lr": 0.1}, "model": {"state_dict": state}}


@pytest.mark.parametrize(
    ("wrap", "notes"),
    [
        (dict, ()),
        (OrderedDict, ()),
        (lambda s: {"state_dict": s}, ()),
        (lambda s: {"model": s}, ("weights found under 'model'",)),
        (lambda s: {"epoch": 1, "best": 0.5, "net": s}, ("weights found under 'net'",)),
        (nested, ("weights found under 'model'",)),
        (
            lambda s: {f"module.{name}": value for name, value in s.items()},
            ("name prefix 'module.' taken off",),
        ),
        (
            lambda s: {"state_dict": {f"model.module.{k}": v for k, v in s.items()}},
            ("name prefix 'model.module.' taken off",),
        ),
        (lambda s: {name: nn.Parameter(v, False) for name, v in s.items()}, ()),
    ],
    ids=["plain", "ordered", "state_dict", "model", "net", "nested", "module.", "both", "params"],
)
def test_a_wrapped_state_dict_opens(path, network, state, wrap, notes):
    model = files.read_model(saved(path, wrap(state)))
    assert model.network == network
    assert model.notes == notes
    assert_same_weights(model.state, state)


def test_missing_batch_counters_are_filled_in(path, network, state):
    old = {name: v for name, v in state.items() if "num_batches_tracked" not in name}
    model = files.read_model(saved(path, old))
    assert model.network == network
    assert model.state.keys() == state.keys()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_open_as_single(path, state, dtype):
    floats = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    model = files.read_model(saved(path, floats))
    kept = {k: v.float() if v.is_floating_point() else v for k, v in floats.items()}
    assert_same_weights(model.state, kept)
    assert {v.dtype for v in model.state.values() if v.is_floating_point()} == {torch.float32}


def test_a_plain_safetensors_file_opens(tmp_path, network, state):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(state, path)
    model = files.read_model(path)
    assert model.network == network
    assert_same_weights(model.state, state)


def test_the_older_format_without_zip_opens(path, network, state):
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert files.read_model(path).network == network


def test_tensors_that_are_views_of_one_storage_open_and_save(tmp_path, network, state):
    floats = [name for name, value in state.items() if value.is_floating_point()]
    flat = torch.cat([state[name].flatten() for name in floats])
    views = dict(zip(floats, flat.split([state[n].numel() for n in floats]), strict=True))
    shared = {n: views[n].view(v.shape) if n in views else v for n, v in state.items()}
    model = files.read_model(saved(tmp_path / "flat.pt", shared))
    target = tmp_path / "own.safetensors"
    files.save(target, model.network, model.state)
    assert_same_weights(files.read_model(target).state, state)


def test_the_input_size_can_be_chosen(path, network, state):
    model = files.read_model(saved(path, state), input_size=80)
    assert model.network == net.sized(network, 80)
    assert "nearest is input:1024" in refusal(path, input_size=5000)


def test_any_structure_is_read_from_its_shapes(path, random_network, random_state):
    rng = random.Random(5)
    for _ in range(40):
        network = compacted(random_network(rng))[0]
        state = random_state(network, 2)
        assert files.read_model(saved(path, state), network.input_size).network == network


def test_reading_is_reproducible_by_hash(path, state):
    first = files.read_model(saved(path, state))
    assert first.sha256 == files.read_model(path).sha256
    state["output.bias"] += 1
    assert first.sha256 != files.read_model(saved(path, state)).sha256


def test_the_published_imagenet_weights_open(shared):
    model = files.read_model(shared / "models" / "shufflenet_g3_wd4.pth")
    assert model.network.units_per_stage == (4, 8, 4)
    assert model.network.classes == 1000
    assert model.network.total_parameters() == 305_902
    assert model.network == shufflenet.fresh(classes=1000)


def test_the_published_contest_result_opens(shared):
    model = files.read_model(shared / "models" / "ShuffleNet_final.pt", input_size=80)
    assert model.network.units_per_stage == (2, 5, 2)
    assert (model.network.head.kind, model.network.head.has_bias) == ("conv", False)
    assert model.network.classes == 9
    assert macs.count(model.network) == 1_083_210
    assert model.network.total_parameters() == 34_422
    assert model.notes == ("weights found under 'model'",)


# Refusing


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


COMPRESS = "features.stage2.unit2.compress_conv1.weight"


UNUSABLE = {
    "a conv missing": (lambda s: without(s, COMPRESS), "unit2"),
    "a statistic missing": (
        lambda s: without(s, "features.stage2.unit2.dw_bn2.running_var"),
        "dw_bn2.running_var",
    ),
    "stem missing": (
        lambda s: without(s, "features.init_block.conv.weight"),
        "unknown architecture",
    ),
    "head missing": (lambda s: without(s, "output.weight"), "output.weight"),
    "a conv too narrow": (lambda s: s | {COMPRESS: s[COMPRESS][:-1]}, "stage2.unit2"),
    "a conv flat": (lambda s: s | {COMPRESS: s[COMPRESS].flatten()}, "dimensions"),
    "a conv empty": (lambda s: s | {COMPRESS: s[COMPRESS][:, :0]}, COMPRESS),
    "head too narrow": (
        lambda s: s | {"output.weight": s["output.weight"][:, :-1]},
        "output.weight",
    ),
    "bias too short": (lambda s: s | {"output.bias": torch.zeros(4)}, "output.bias"),
    "no classes": (
        lambda s: s | {"output.weight": torch.zeros(0, 240), "output.bias": torch.zeros(0)},
        "output.weight",
    ),
    "a norm too wide": (
        lambda s: s | {"features.init_block.bn.weight": torch.zeros(7)},
        "init_block.bn.weight",
    ),
    "a tensor too many": (
        lambda s: s | {"features.stage9.extra": torch.zeros(1)},
        "features.stage9.extra",
    ),
    "nan": (lambda s: s | {"output.weight": s["output.weight"] * float("nan")}, "NaN"),
    "infinite": (lambda s: s | {"output.bias": s["output.bias"] / 0}, "output.bias"),
    "too large for single precision": (
        lambda s: s | {"output.weight": s["output.weight"].double() * 1e300},
        "output.weight",
    ),
    "sparse": (lambda s: s | {"output.weight": s["output.weight"].to_sparse()}, "sparse"),
    "complex": (
        lambda s: s | {"output.weight": s["output.weight"].to(torch.complex64)},
        "complex",
    ),
    "another network": (lambda s: {"conv1.weight": torch.zeros(3, 3)}, "unknown architecture"),
    "an empty mapping": (lambda s: {}, "no state_dict"),
    "a list": (lambda s: [1, 2, 3], "no state_dict"),
    "a tensor": (lambda s: torch.zeros(3), "no state_dict"),
    "no tensors": (lambda s: {"epoch": 3, "model": "none"}, "no state_dict"),
    "too deep": (lambda s: {"a": {"b": {"c": {"d": {"e": {"f": s}}}}}}, "no state_dict"),
    "a note among tensors": (lambda s: {"state_dict": s | {"note": "x"}}, "no state_dict"),
}


@pytest.mark.parametrize("unusable", UNUSABLE)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_weights_that_are_no_network_are_refused(path, state, unusable):
    change, named = UNUSABLE[unusable]
    assert named in refusal(saved(path, change(state)))


def test_a_missing_file_is_named(tmp_path):
    assert str(tmp_path / "no.pt") in refusal(tmp_path / "no.pt")


def test_a_folder_is_no_model(tmp_path):
    assert "folder" in refusal(tmp_path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not a model\nat all\n",
        b"PK\x03\x04" + bytes(60),
        b"\x80\x02}q\x00.",
        b"\x80\x05",
        bytes(range(256)) * 20,
        b"{}" * 40,
        b"\x10\0\0\0\0\0\0\0{" + b"x" * 15,
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        b"\x02\0\0\0\0\0\0\0{}",
    ],
    ids=[
        "empty",
        "line",
        "text",
        "zip",
        "dict",
        "frame",
        "noise",
        "json",
        "header",
        "huge",
        "none",
    ],
)
def test_garbage_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_cut_short_is_refused(tmp_path, network, state, suffix, share):
    path = tmp_path / f"model{suffix}"
    files.save(path, network, state)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "save it again" in refusal(path)


def test_a_zip_of_something_else_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refusal(path)


def test_a_pickled_module_is_refused_with_the_way_out(path):
    message = refusal(saved(path, nn.Linear(2, 2)))
    assert "torch.nn.modules.linear.Linear" in message
    assert "torch.save(model.state_dict()" in message


class Toucher:
    """A pickle of this creates a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("is_zip", [True, False])
def test_loading_never_runs_code_of_a_file(tmp_path, is_zip):
    path, target = tmp_path / "model.pt", tmp_path / "was-here"
    value = {"state_dict": Toucher(target)}
    if is_zip:
        torch.save(value, path)
    else:
        path.write_bytes(pickle.dumps(value))
    refusal(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(Toucher(target))).close()
    assert target.exists()


# Our own files


def own(path, state, structure):
    text = structure if isinstance(structure, str) else json.dumps(structure)
    return saved(path, {"format": files.FORMAT, "network": text, "state_dict": state})


def structure_of(network):
    return json.loads(msgspec.json.encode(network))


def layer(structure, stage, unit, index):
    return structure["stages"][stage]["units"][unit]["branch"][index]


def change_layer(index, **values):
    return lambda structure: layer(structure, 0, 0, index).update(values)


def change_axes(**axes):
    return lambda structure: structure["axes"].update(axes)


def chained(length):
    links = {f"a{i}": {"parts": [f"a{i + 1}"]} for i in range(length)}
    return links | {f"a{length}": {"width": 6}}


HOSTILE = {
    "axis in itself": change_axes(init={"parts": ["init"]}),
    "axes in a ring": change_axes(init={"parts": ["ring"]}, ring={"parts": ["init"]}),
    "axis unknown": change_axes(init={"parts": ["nowhere"]}),
    "axis of no width": change_axes(init={"width": 0}),
    "axis of negative width": change_axes(init={"width": -6}),
    "axis huge": change_axes(init={"width": 3 * 10**9}),
    "axis beyond 64 bits": change_axes(init={"width": 3 * 2**80}),
    "axis chain endless": change_axes(**chained(5000)),
    "classes huge": change_axes(classes={"width": 2**62}),
    "no axes": lambda s: s.update(axes={}),
    "no stages": lambda s: s.update(stages=[]),
    "stride zero": change_layer(0, stride=0),
    "kernel zero": change_layer(0, kernel=0),
    "groups zero": change_layer(0, groups=0),
    "groups that do not divide": change_layer(0, groups=5),
    "padding negative": change_layer(0, padding=-1),
    "padding huge": change_layer(0, padding=10**6),
    "pool padding over half its kernel": change_layer(3, padding=2),
    "kind unknown": change_layer(0, kind="attention"),
    "kind without weights": change_layer(0, kind="shuffle"),
    "wired past a layer": change_layer(0, in_axis="classes"),
    "flat where a map is needed": change_layer(2, kind="flatten"),
    "key of another layer": change_layer(1, key="features.init_block.conv"),
    "key that torch uses": change_layer(0, key="training"),
    "key under a method": change_layer(0, key="forward.conv"),
    "key with a gap": change_layer(0, key="features..conv"),
    "key empty": change_layer(0, key=""),
    "input of no size": lambda s: s.update(input_size=0),
    "input negative": lambda s: s.update(input_size=-80),
    "input huge": lambda s: s.update(input_size=10**8),
    "mean too short": lambda s: s.update(mean=[0.5]),
    "std zero": lambda s: s.update(std=[0.0, 0.1, 0.1]),
    "name of a wrong type": lambda s: s.update(family=3),
}


def own_safetensors(path, network, state, structure):
    """A file of ours in which the structure was exchanged."""
    files.save(path, network, state)
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    metadata = header["__metadata__"]
    (key,) = [k for k, v in metadata.items() if v.startswith("{")]
    metadata[key] = json.dumps(structure)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


def test_a_structure_can_be_exchanged_as_the_hostile_files_do(tmp_path, network, state):
    path = tmp_path / "model.safetensors"
    own_safetensors(path, network, state, structure_of(network) | {"input_size": 96})
    assert files.read_model(path).network == net.sized(network, 96)


@pytest.mark.parametrize("kind", [".pt", ".safetensors"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_structure_is_refused(tmp_path, network, state, hostile, kind):
    structure = structure_of(network)
    HOSTILE[hostile](structure)
    path = tmp_path / f"model{kind}"
    if kind == ".pt":
        own(path, state, structure)
    else:
        own_safetensors(path, network, state, structure)
    refusal(path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "{}", '"x"', '{"family":"x","y":' + "[" * 10**5 + "]" * 10**5 + "}"],
    ids=["empty", "torn", "null", "list", "object", "string", "deep"],
)
def test_a_structure_that_is_no_structure_is_refused(path, state, text):
    refusal(own(path, state, text))


def test_a_structure_of_another_type_is_refused(path, state):
    refusal(saved(path, {"format": files.FORMAT, "network": 3, "state_dict": state}))
    refusal(saved(path, {"format": files.FORMAT, "state_dict": state}))


def test_a_unit_that_stays_cannot_be_off_in_a_file(path, network, state):
    structure = structure_of(network)
    structure["stages"][2]["units"][0]["is_on"] = False
    refusal(own(path, state, structure))


def test_the_model_of_the_demo_is_one_of_ours():
    model = files.read_model(Path(workbench.__file__).parent / "demo" / "digits.safetensors")
    assert (model.network.input_size, model.network.classes) == (32, 10)


def test_an_honest_structure_of_ours_opens_without_its_family(path, network, state):
    structure = structure_of(network) | {"family": "somebody's own"}
    model = files.read_model(own(path, state, structure))
    assert model.network == msgspec.structs.replace(network, family="somebody's own")


# Saving


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_what_is_saved_reads_back(tmp_path, network, state, suffix):
    path = tmp_path / f"model{suffix}"
    sized = edits.apply(network, edits.InputSize(80))
    result = files.save(path, sized, state)
    again = files.read_model(path)
    assert again.network == result.network == sized
    assert_same_weights(again.state, state)
    assert (again.sha256, result.bytes) == (result.sha256, path.stat().st_size)
    assert result.renamed == {}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_off_units_are_left_out_and_the_rest_numbered_without_gaps(
    tmp_path, network, state, suffix
):
    path = tmp_path / f"model{suffix}"
    off = carry(network, state, edits.UnitOff("stage2.unit2"))
    result = files.save(path, off.network, off.state)
    again = files.read_model(path)
    assert result.renamed == {"stage2.unit3": "stage2.unit2"}
    assert again.network.units_per_stage == (1, 2, 2)
    assert list(again.network.units) == [
        *("init", "stage1.unit1", "stage2.unit1", "stage2.unit2"),
        *("stage3.unit1", "stage3.unit2", "output"),
    ]
    moved = "features.stage2.unit2.dw_conv2.weight"
    assert torch.equal(again.state[moved], state[moved.replace("unit2", "unit3")])
    assert not any("stage2.unit3" in name for name in again.state)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        before = build(off.network, off.state)(images)
        assert torch.equal(build(again.network, again.state)(images), before)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_same_model_is_always_saved_as_the_same_bytes(tmp_path, network, state, suffix):
    path = tmp_path / f"model{suffix}"
    assert len({files.save(path, network, state).sha256 for _ in range(8)}) == 1


def test_a_saved_file_needs_no_workbench_to_load(path, network, state):
    files.save(path, network, state)
    plain = torch.load(path, weights_only=True)["state_dict"]
    assert_same_weights(plain, state)


def test_any_random_network_survives_a_round_trip(path, random_network, random_state):
    rng = random.Random(6)
    for _ in range(15):
        network = random_network(rng)
        state = random_state(network, 3)
        result = files.save(path, network, state)
        again = files.read_model(path)
        assert again.network == result.network
        assert all(unit.is_on for unit in again.network.units.values())
        size = network.input_size
        images = torch.randn(2, network.input_channels, size, size)
        with torch.inference_mode():
            wanted = build(network, state)(images)
            assert torch.equal(build(again.network, again.state)(images), wanted)


@pytest.mark.parametrize(
    "name", ["model.onnx", "model", "no-such-folder/model.pt", "folder.pt", "m.PT.bak"]
)
def test_a_target_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path, network, state, name
):
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(UserError) as caught:
        files.save(tmp_path / name, network, state)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["folder.pt"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_without_permission_is_refused(tmp_path, network, state):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="no permission"):
            files.save(tmp_path / "model.pt", network, state)
        assert os.listdir(tmp_path) == []
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path, network, state, monkeypatch):
    files.save(path, network, state)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        files.save(path, network, {k: v + 1 for k, v in state.items()})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
