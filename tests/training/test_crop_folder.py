"""OUT is filled whole or left as it was."""

import errno
import math
from pathlib import Path

import pytest
from boxes import Folder, box, error_of, image, pixels, write

from workbench.errors import UserError
from workbench.training.cropping.crop import crop


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "data")


def test_a_folder_that_holds_anything_is_refused_and_left_alone(folder):
    write(folder.images / "a.png", pixels(80, 100))
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 40, 40])])
    folder.out.mkdir()
    (folder.out / ".kept").write_text("mine")
    with pytest.raises(UserError, match="already holds files: name a new or an empty folder"):
        folder.crop()
    assert [path.name for path in folder.out.iterdir()] == [".kept"]
    (folder.out / ".kept").unlink()
    assert folder.crop().written == 1
    assert [path.name for path in folder.out.iterdir()] == ["can"]


def test_a_link_to_an_empty_folder_is_filled(folder):
    write(folder.images / "a.png", pixels(80, 100))
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 40, 40])])
    (folder.root / "elsewhere").mkdir()
    folder.out.symlink_to(folder.root / "elsewhere")
    assert folder.crop().written == 1
    assert (folder.root / "elsewhere" / "can" / "1_1.png").is_file()


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left; nothing was written"),
        (OSError(errno.EACCES, "Permission denied"), "no permission to write there"),
    ],
)
def test_a_crop_that_cannot_be_written_leaves_nothing(error, says, is_new, folder, monkeypatch):
    # GIVEN a disk that is full after three crops
    folder.annotate(
        [image(n, "a.png") for n in range(1000)], [box(n, [0, 0, 40, 40], n) for n in range(1000)]
    )
    write(folder.images / "a.png", pixels(80, 100))
    written, real = [], Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) > 3:
            raise error
        return real(path, data)

    if not is_new:
        folder.out.mkdir()
    monkeypatch.setattr(Path, "write_bytes", full)
    # WHEN
    with pytest.raises(UserError, match=says) as caught:
        folder.crop()
    # THEN
    assert str(folder.out) in str(caught.value)
    assert folder.out.exists() != is_new
    assert is_new or not any(folder.out.iterdir())
    assert len(written) < 1000  # the rest is given up


def test_a_folder_that_cannot_be_made_is_one_line(folder):
    write(folder.images / "a.png", pixels(80, 100))
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 40, 40])])
    for out, says in (
        (folder.root / "none" / "out", "the folder does not exist; create it first"),
        (folder.file, "cannot write"),
    ):
        with pytest.raises(UserError, match=says):
            crop(folder.file, folder.images, out)
    with pytest.raises(UserError, match="no image folder"):
        crop(folder.file, folder.root / "none", folder.out)


def test_a_run_that_is_stopped_leaves_nothing(folder):
    folder.annotate(
        [image(n, "a.png") for n in range(50)], [box(n, [0, 0, 40, 40], n) for n in range(50)]
    )
    write(folder.images / "a.png", pixels(80, 100))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.crop(progress=stop)
    assert not folder.out.exists()


@pytest.mark.parametrize(
    "options", [{"margin": -0.1}, {"margin": math.nan}, {"margin": 11}, {"min_size": 0}]
)
def test_options_out_of_range_are_refused(options, folder):
    folder.annotate([image(1, "a.png")], [box(1, [0, 0, 40, 40])])
    assert "not" in error_of(folder, **options)
