import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mia_pruning import storage
from mia_pruning.data.decode import decode, decode_image
from mia_pruning.types import StudyError


def encoded(pixels, kind="PNG", mode=None):
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, kind)
    return file.getvalue()


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Ten images in chunks of three."""
    monkeypatch.setattr(storage, "CHUNK_BYTES", 3 * 8 * 8 * 3)
    (tmp_path / "in").mkdir()
    for number in range(10):
        (tmp_path / "in" / f"{number}.png").write_bytes(
            encoded(np.full((8, 8, 3), 20 * number, np.uint8))
        )
    return tmp_path / "in"


NAMES = [f"{number}.png" for number in range(10)]


def decoded(folder, names=NAMES, identity="i", *, resolution=8, skip=False):
    return decode(
        folder, names, identity, resolution=resolution, skip=skip, work=folder.parent / "work"
    )


def test_an_image_of_the_resolution_comes_back_as_it_is():
    pixels = noise(8, 8, 3)
    np.testing.assert_array_equal(decode_image(encoded(pixels), 8), pixels)


@pytest.mark.parametrize(("shape", "centre"), [((8, 20), np.s_[:, 6:14]), ((21, 8), np.s_[6:14])])
def test_the_centre_of_the_longer_side_is_kept(shape, centre):
    pixels = noise(*shape, 3)
    np.testing.assert_array_equal(decode_image(encoded(pixels), 8), pixels[centre])


def test_grey_transparent_and_palette_images_become_rgb():
    grey = noise(8, 8)
    np.testing.assert_array_equal(decode_image(encoded(grey), 8), np.stack([grey] * 3, axis=-1))
    pixels = noise(8, 8, 4)
    np.testing.assert_array_equal(decode_image(encoded(pixels), 8), pixels[..., :3])
    palette = Image.fromarray(noise(8, 8, 3)).quantize(16)
    file = io.BytesIO()
    palette.save(file, "PNG")
    np.testing.assert_array_equal(
        decode_image(file.getvalue(), 8), np.asarray(palette.convert("RGB"))
    )


def test_the_shorter_side_is_resized():
    """A left-to-right ramp stays a ramp, and a flat colour stays what it is, in a JPEG as in a PNG."""
    ramp = np.tile(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], (128, 1, 3))
    for kind, tolerance in (("PNG", 2), ("JPEG", 4)):
        found = decode_image(encoded(ramp, kind), 16).astype(float)
        assert found.shape == (16, 16, 3)
        expected = 64 + 8 * (np.arange(16) + 0.5)
        np.testing.assert_allclose(
            found, np.tile(expected[None, :, None], (16, 1, 3)), atol=tolerance
        )
    assert (decode_image(encoded(np.full((500, 375, 3), 77, np.uint8), "JPEG"), 64) == 77).all()


def test_a_small_image_is_enlarged():
    assert (decode_image(encoded(np.full((2, 3, 3), 9, np.uint8)), 8) == 9).all()


def test_sixteen_bit_pixels_are_refused_and_not_clipped():
    with pytest.raises(ValueError, match="8 bits"):
        decode_image(encoded(np.full((8, 8), 40_000, np.uint16)), 8)


def test_all_images_stand_in_their_order(folder):
    file, failed = decoded(folder)
    assert failed == {}
    assert storage.read_array(file)[:, 0, 0, 0].tolist() == [20 * number for number in range(10)]


def test_an_image_that_does_not_decode_is_refused_by_name(folder):
    (folder / "4.png").write_bytes((folder / "4.png").read_bytes()[:40])
    with pytest.raises(StudyError, match=rf"{folder}/4.png: cannot be decoded .*undecodable: skip"):
        decoded(folder)


def test_images_that_do_not_decode_can_be_skipped_and_are_named(folder):
    for name, content in (
        ("0.png", b""),
        ("5.png", b"text"),
        ("9.png", (folder / "9.png").read_bytes()[:40]),
    ):
        (folder / name).write_bytes(content)
    file, failed = decoded(folder, skip=True)
    assert list(failed) == ["0.png", "5.png", "9.png"]
    assert storage.read_array(file)[:, 0, 0, 0].tolist() == [20, 40, 60, 80, 120, 140, 160]


def test_a_file_that_vanishes_is_never_skipped(folder):
    (folder / "4.png").unlink()
    with pytest.raises(FileNotFoundError):
        decoded(folder, skip=True)


@pytest.fixture
def counted(monkeypatch, folder):
    """Names of the files that each worker process decoded, noted in a file."""
    log, original = folder.parent / "decoded", Path.read_bytes

    def read(path):
        with log.open("a") as file:
            file.write(f"{path.name}\n")
        return original(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    return lambda: sorted(log.read_text().split()) if log.exists() else []


def test_what_is_done_is_not_done_again(folder, counted):
    file, _ = decoded(folder)
    assert counted() == NAMES
    assert decoded(folder) == (file, {})
    assert counted() == NAMES


def test_skipping_goes_on_from_where_refusing_stopped(folder, counted):
    (folder / "9.png").write_bytes(b"")
    with pytest.raises(StudyError):
        decoded(folder)
    decoded(folder, skip=True)
    assert list(decoded(folder, skip=True)[1]) == ["9.png"]
    assert counted().count("9.png") == 2


def test_other_files_and_another_resolution_start_afresh(folder):
    first = storage.read_array(decoded(folder)[0])[:, 0, 0, 0].tolist()
    other = storage.read_array(decoded(folder, NAMES[::-1], "j")[0])[:, 0, 0, 0].tolist()
    assert other == first[::-1]
    assert storage.read_array(decoded(folder, resolution=4)[0]).shape == (10, 4, 4, 3)


def test_a_note_that_was_cut_off_is_not_believed(folder):
    file, _ = decoded(folder)
    storage.write_chunks(file, (10, 8, 8, 3), ())
    notes = file.with_suffix(".jsonl")
    *whole, last = notes.read_text().splitlines(keepends=True)
    notes.write_text("".join([*whole, last[:-3]]))
    decoded(folder)
    start = int(last.split(",")[0].strip("["))
    expected = [20 * row if start <= row < start + 3 else 0 for row in range(10)]
    assert storage.read_array(file)[:, 0, 0, 0].tolist() == expected
    assert sorted(notes.read_text().splitlines(keepends=True)) == sorted([*whole, last])


def test_a_kill_at_any_instant_loses_no_finished_chunk_and_leaves_no_process(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    names = [f"{number}.png" for number in range(60)]
    for number, name in enumerate(names):
        (source / name).write_bytes(encoded(np.full((8, 8, 3), number, np.uint8)))
    code = f"""
        import sys, time
        from pathlib import Path
        from mia_pruning import storage
        from mia_pruning.data import decode
        storage.CHUNK_BYTES = 2 * 8 * 8 * 3
        quick = decode.decode_image
        def slow(content, resolution):
            time.sleep(0.02)
            return quick(content, resolution)
        decode.decode_image = slow
        names = [f"{{n}}.png" for n in range(60)]
        file, _ = decode.decode(Path("{source}"), names, "i", resolution=8, skip=False, work=Path("{tmp_path / "work"}"))
        print(file)
        """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    counts = []
    for _ in range(2):
        process = subprocess.Popen(command, start_new_session=True)
        wait_for(lambda: done(tmp_path) > (counts[-1] if counts else 0) + 4)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda group=process.pid: not alive(group))
        counts.append(done(tmp_path))
    assert 0 < counts[0] < counts[1] < 30
    file = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert storage.read_array(file)[:, 3, 3, 1].tolist() == list(range(60))
    assert done(tmp_path) == 30


def done(folder):
    """Lines of progress; a hidden file is one that a kill kept from replacing it."""
    return sum(len(path.read_text().splitlines()) for path in folder.glob("work/[!.]*.jsonl"))


def alive(group):
    """Whether a process of this group runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
