"""The screen's process never loads torch and its kind: it starts at once and stays small."""

import subprocess
import sys
from pathlib import Path

import pytest

from sessions import edits, macs
from sessions.codec import Header, Record
from sessions.events import (
    ClassScore,
    Edited,
    Evaluated,
    Evaluation,
    JobFinished,
    JobQueued,
    JobStarted,
    LayerStats,
    ModelOpened,
)
from sessions.log import SessionLog
from sessions.network import WEIGHTED
from workbench.surgery.families import shufflenet

HEAVY = ("torch", "numpy", "sklearn", "albumentations", "cv2", "scipy", "safetensors", "ptflops")
REPORT = f"\nimport sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))\n"
IMPORTS = """
import workbench.app
import workbench.cli.main
import workbench.live
import workbench.picture
"""
SHOW = """
import asyncio
import sys
from pathlib import Path
from workbench.app import WorkbenchApp
from workbench.player import Player

async def show():
    app = WorkbenchApp(Player(Path(sys.argv[1]), is_paused=True))
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press("9", "down", "right", "2", "question_mark", "escape", "t", "escape")
        await pilot.pause()
        assert app.main.query_one("NetworkTree").rows
        assert app.main.query_one("Curves").view.f1

asyncio.run(show())
"""


def loaded_by(code: str, *arguments: object) -> list[str]:
    """The heavy packages that a fresh interpreter has loaded after this code."""
    done = subprocess.run(
        [sys.executable, "-c", code + REPORT, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A recorded session with an edit, histograms and an F1."""
    network = shufflenet.fresh(classes=2)
    stats = {
        layer.path: LayerStats(9, 0.0, 0.1, 0.0, -1.0, 1.0, tuple(range(20)))
        for _, layer in network.layers()
        if layer.kind in WEIGHTED
    }
    found = Evaluation(
        split="validation", images=9, f1=0.5, accuracy=0.5,
        classes=(ClassScore("a", 0.4, 0.4, 0.4, 4), ClassScore("b", 0.6, 0.6, 0.6, 5)),
    )  # fmt: skip
    edit = edits.UnitOff("stage1.unit2")
    happened = (
        ModelOpened(
            source="m.pt", sha256="", checkpoint="", network=network, weights_sha256="",
            stats=stats, macs=macs.count(network), ptflops_macs=macs.count(network),
        ),
        Edited(variant=1, parent=0, edit=edit, macs=0, weights_sha256="", exact=True),
        JobQueued(job=1, job_kind="evaluate", variant=1),
        JobStarted(job=1, device="cpu", steps=1),
        Evaluated(job=1, evaluation=found),
        JobFinished(job=1, evaluation=found),
    )  # fmt: skip
    log = SessionLog.create(tmp_path, Header(created="", model_sha256="", seed=0))
    for number, event in enumerate(happened):
        log.append(Record(float(number), event))
    log.close()
    return tmp_path


def test_the_probe_sees_what_is_loaded() -> None:
    assert loaded_by("import safetensors") == ["safetensors"]


def test_importing_the_screen_and_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_by(IMPORTS) == []


def test_showing_a_recorded_session_loads_nothing_heavy(session: Path) -> None:
    assert loaded_by(SHOW, session) == []
