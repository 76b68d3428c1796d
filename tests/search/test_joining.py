"""Which Ray is joined, and what each trial gets of it."""

import socket
import sys
import time

import pytest

from workbench.errors import UserError
from workbench.search.joining import REACHED_S, Share, connect, places, shared_out


@pytest.mark.parametrize(
    ("nodes", "workers", "share"),
    [
        ([(2, 0)], 2, (1, 0.0, 2)),
        ([(16, 0)] * 4, 8, (8, 0.0, 8)),
        ([(16, 0)] * 4, 5, (8, 0.0, 5)),  # 12 each would leave room for 4
        ([(0, 0), (8, 0)], 64, (1, 0.0, 8)),  # a head that takes no tasks
        ([(8, 0), (32, 4)], 4, (8, 1.0, 4)),  # only the node with GPUs
        ([(32, 4)], 8, (4, 0.5, 8)),
        ([(32, 4)], 12, (2, 0.3333, 12)),
        ([(4, 8)], 8, (1, 1.0, 4)),  # fewer CPUs than GPUs
        ([(8, 8)] * 8, 1000, (1, 0.125, 64)),
    ],
)
def test_shares_let_as_many_trials_run_as_can(
    nodes: list[tuple[float, float]], workers: int, share: tuple[int, float, int]
) -> None:
    found = shared_out(nodes, workers)
    assert (found.cpus, found.gpus, found.places) == share


def test_places_follow_the_cluster_and_end_at_the_workers() -> None:
    share = Share(cpus=4, gpus=0.5, places=4)
    assert places([(16, 2)], share, 8) == 4
    assert places([(16, 2), (16, 2)], share, 6) == 6
    assert places([(16, 0)], share, 8) == 0


def test_an_address_that_nothing_answers_is_one_line_at_once() -> None:
    pytest.importorskip("ray")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(UserError, match=rf"^no Ray cluster answers at 127.0.0.1:{port} \(.*\): "):
        connect(f"127.0.0.1:{port}", 2)
    assert time.monotonic() - began < REACHED_S + 5


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("somewhere", "'somewhere' is no Ray address: use local, auto or host:port"),
        ("host:99999", "'host:99999' is no Ray address"),
        ("ray://host:10001", "cannot stream reports; give host:port"),
    ],
)
def test_an_address_of_another_kind_is_refused(address: str, said: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        connect(address, 2)


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'pip install "workbench\[cluster\]"'):
        connect("local", 2)
