"""Start-up in a real terminal: launch to the first painted frame, and to the filled tree.

Measured in a pseudo-terminal of 120x36 on a ShuffleNet checkpoint, in turn with
`python -c "import torch"` on the same interpreter; medians of pairwise ratios.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from terminal import Terminal, executable

ROUNDS = 7


def main() -> None:
    first, filled, torch_s = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.pt"
        command = [executable(), "new", str(model), "--input-size", "80"]
        subprocess.run(command, check=True, capture_output=True)
        for number in range(ROUNDS + 1):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import torch"], check=True)
            torch_now = time.perf_counter() - started
            session = Path(folder) / f"session{number}"
            with Terminal([executable(), "open", str(model), "--session", str(session)]) as screen:
                first_now = screen.wait_for("opening the model")
                filled_now = screen.wait_for("stage3")
                screen.send("q")
                screen.wait_for_end()
            if number:  # the first one warms the disk cache
                first.append(first_now)
                filled.append(filled_now)
                torch_s.append(torch_now)
    ratios = [
        statistics.median(a / b for a, b in zip(times, torch_s, strict=True))
        for times in (first, filled)
    ]
    print(
        f"start-up, {ROUNDS} rounds, medians; import torch takes {statistics.median(torch_s):.2f} s"
    )
    print(
        f"  first painted frame {statistics.median(first):.2f} s   ratio {ratios[0]:.2f} "
        "(below 0.5 wanted)"
    )
    print(
        f"  filled tree         {statistics.median(filled):.2f} s   ratio {ratios[1]:.2f} "
        "(below 2.0 wanted)"
    )


if __name__ == "__main__":
    main()
