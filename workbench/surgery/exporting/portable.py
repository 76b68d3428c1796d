"""ONNX and ExportedProgram files: written with any batch size, read back and run.

Where this computer keeps its files is no part of what is handed on: the traces that the exporters
record are taken out.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from sessions.network import Network
from workbench.errors import UserError
from workbench.surgery.build import State, build

INPUT, OUTPUT = "images", "logits"
FACTS = "workbench.json"
"""Name of the facts inside a .pt2 file; in an .onnx file they are its metadata."""
Run = Callable[[Tensor], Tensor]


def facts(network: Network) -> dict[str, str]:
    """What somebody needs to feed the network, as text by name."""
    return {
        "input_size": str(network.input_size),
        "classes": str(network.classes),
        "mean": json.dumps(network.mean),
        "std": json.dumps(network.std),
    }


def check_onnx() -> None:
    """Make sure that ONNX files can be written and run.

    Raises:
        UserError: the optional packages are not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f".onnx needs packages that are not installed ({error.name or error}): "
            "pip install 'workbench[onnx]'"
        ) from None


def program_bytes(network: Network, state: State) -> bytes:
    """The content of a .pt2 file.

    Raises:
        UserError: torch cannot export the network.
    """
    with _quiet(), _explained(".pt2"):
        buffer = io.BytesIO()
        torch.export.save(
            _exported(network, state), buffer, extra_files={FACTS: json.dumps(facts(network))}
        )
    return buffer.getvalue()


def onnx_bytes(network: Network, state: State) -> bytes:
    """The content of an .onnx file; batch norm is folded into the convs.

    Raises:
        UserError: torch cannot export the network.
    """
    with _quiet(), _explained(".onnx"):
        program = torch.onnx.export(
            _exported(network, state),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        model = program.model
        graph = model.graph
        values = [*graph.inputs, *graph.outputs, *graph.initializers.values()]
        for part in (graph, *graph, *values, *(out for node in graph for out in node.outputs)):
            part.metadata_props.clear()
        model.metadata_props.update(facts(network))
        return bytes(program.model_proto.SerializeToString())


def open_program(path: Path) -> Run:
    """The function of a .pt2 file."""
    with _quiet(), _explained(".pt2"):
        module = torch.export.load(path).module()

    def run(images: Tensor) -> Tensor:
        with _explained(".pt2"):
            logits = module(images)
        assert isinstance(logits, Tensor)
        return logits

    return run


def open_onnx(path: Path) -> Run:
    """The function of an .onnx file in onnxruntime, on one thread of the CPU."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    with _explained(".onnx"):
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def run(images: Tensor) -> Tensor:
        with _explained(".onnx"):
            (logits,) = session.run([OUTPUT], {INPUT: images.contiguous().numpy()})
        return torch.from_numpy(logits)

    return run


def _exported(network: Network, state: State) -> ExportedProgram:
    shape = (2, network.input_channels, network.input_size, network.input_size)
    program = torch.export.export(
        build(network, state), (torch.zeros(shape),), dynamic_shapes=({0: Dim("batch", min=1)},)
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    program.example_inputs = None
    return program


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks on packages and functions that have nothing to do with us."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


@contextlib.contextmanager
def _explained(suffix: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the exporters' and runtimes' own errors have no common base
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{suffix} fails with torch {torch.__version__} ({first[:100]}): export to .py instead"
        ) from error
