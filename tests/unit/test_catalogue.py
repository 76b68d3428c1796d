"""The catalogue of public weights against the structures that it names."""

import re
from pathlib import Path

import pytest

from sessions.network import Network
from workbench.errors import UserError
from workbench.surgery.families import shufflenet
from workbench.zoo import catalogue, store
from workbench.zoo.catalogue import PUBLISHED

ALL = list(PUBLISHED.values())


@pytest.mark.parametrize("published", ALL, ids=lambda found: found.name)
def test_parameters_are_the_published_ones(published: catalogue.Published) -> None:
    assert published.network().total_parameters() == published.params


@pytest.mark.parametrize("published", ALL, ids=lambda found: found.name)
def test_the_published_count_follows_from_the_structure(published: catalogue.Published) -> None:
    counted = _half_flops(published.network()) / 1e6
    assert round(counted, 2) == pytest.approx(published.million_macs, abs=0.0051)


def test_every_width_and_group_count_that_can_be_built_is_there() -> None:
    names = {1.0: "w1", 0.75: "w3d4", 0.5: "wd2", 0.25: "wd4"}
    built = set()
    for groups in shufflenet.STAGE_WIDTHS:
        for width, name in names.items():
            try:
                shufflenet.fresh(groups, width)
            except UserError:
                continue
            built.add(f"shufflenet_g{groups}_{name}")
    assert built == set(PUBLISHED)


def test_names_and_checksums_are_whole_and_unique() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{40}", found.sha1) for found in ALL)
    assert len({found.sha1 for found in ALL}) == len({found.url() for found in ALL}) == len(ALL)
    assert all(found.top5_error < found.top1_error for found in ALL)
    assert [found.params for found in ALL] == sorted(found.params for found in ALL)


def test_files_are_named_as_the_releases_have_them() -> None:
    assert PUBLISHED["shufflenet_g3_wd4"].url() == (
        "https://github.com/osmr/imgclsmob/releases/download/v0.0.135/"
        "shufflenet_g3_wd4-3653-6abdd65e.pth.zip"
    )
    assert PUBLISHED["shufflenet_g1_w1"].url("http://mirror/zoo/") == (
        "http://mirror/zoo/v0.0.223/shufflenet_g1_w1-1389-4cfb65a3.pth.zip"
    )


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean shufflenet_g3_wd4\?"):
        catalogue.named("shufflenet_g3_wd5")
    with pytest.raises(UserError, match="zoo list"):
        catalogue.named("resnet")


def test_a_published_file_is_known_by_its_checksum(shared: Path) -> None:
    path = shared / "models" / "shufflenet_g3_wd4.pth"
    found = catalogue.of_sha1(store.sha1_of(path))
    assert found is PUBLISHED["shufflenet_g3_wd4"]
    assert catalogue.of_sha1(store.sha1_of(path.with_name("ShuffleNet_final.pt"))) is None


def _half_flops(network: Network) -> float:
    """That project's count: two for a multiplication, four for a value into batch norm, one for
    one into a ReLU or a shuffle and for each that a pool looks at; a conv without bias saves an
    addition for each of its weights' pairs of channels."""
    flops = 0
    for _, layer in network.layers():
        into = network.width(layer.in_axis) * layer.in_size**2
        out = network.width(layer.out_axis) * layer.out_size**2
        if layer.kind in ("conv", "depthwise"):
            shape = network.weight_shape(layer)
            flops += 2 * out * shape[1] * layer.kernel**2 - shape[0] * shape[1]
        elif layer.kind == "linear":
            flops += 2 * network.width(layer.in_axis) * network.width(layer.out_axis)
        elif layer.kind == "batch_norm":
            flops += 4 * into
        elif layer.kind in ("relu", "shuffle", "global_pool"):
            flops += into
        elif layer.kind in ("max_pool", "avg_pool"):
            flops += out * layer.kernel**2
    return flops / 2
