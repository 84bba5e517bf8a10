"""Clips from frame folders, video files and the UCSD tree; real footage where it is at hand."""

import logging
import os
import re
import socket
import struct
import threading
import zlib
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from adacl.data import video
from adacl.data.clips import list_clips
from adacl.data.video import Clip
from adacl.datasets import ucsd
from adacl.errors import ConfigError, DataError, InputError, MissingDataError
from adacl.video.annotated_copy import MARK, check_replaceable
from adacl.video.chunks import segments
from support.footage import camera, walkers, write_frames, write_swapped, write_video

FAULTS = Path(os.environ.get("ADACL_FAULTS", Path(__file__).parents[3] / "shared" / "faults"))


def pictures(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A bright square moves to the right over a ramp."""
    ramp = np.tile(np.linspace(0, 120, width), (height, 1))
    frames = np.repeat(ramp[None], count, axis=0).astype(np.uint8)
    for number in range(count):
        frames[number, 16:32, number % (width - 16) : number % (width - 16) + 16] = 250
    return frames


def test_a_video_file_gives_its_frames_with_their_times(tmp_path: Path) -> None:
    images = pictures(25)
    (clip,) = list_clips(write_video(tmp_path / "walk.mp4", images))
    frames = list(clip.frames())
    assert clip.name == "walk"
    assert [frame.number for frame in frames] == list(range(25))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(25) / 10, atol=1e-6)
    assert frames[0].image.shape == (48, 64, 1)
    for frame, image in zip(frames, images, strict=True):
        difference = frame.image[:, :, 0].astype(int) - image
        assert abs(difference).mean() < 8
    assert next(clip.frames(channels=3)).image.shape == (48, 64, 3)
    assert len(list(clip.frames())) == 25


def test_a_list_of_other_files_is_no_video(tmp_path: Path) -> None:
    """FFmpeg would open what it names, whatever it is called."""
    write_video(tmp_path / "walk.mp4", pictures(5))
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile walk.mp4\n")
    with pytest.raises(DataError, match=r"list\.mp4: cannot be opened as video"):
        list(Clip("list", tmp_path / "list.mp4").frames())


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg would take what is before the colon for the kind of an address."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "08:00:00.mp4", pictures(5))
    (clip,) = list_clips("08:00:00.mp4")
    assert clip.count() == 5
    write_avi(Path("file:09:00.mp4").absolute(), "mpeg4", "yuv420p", comment=MARK)
    check_replaceable(Path("file:09:00.mp4"))


def write_avi(path: Path, codec: str, colours: str, **metadata: str) -> Path:
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata)
        track = container.add_stream(codec, rate=10)
        track.height, track.width, track.pix_fmt = 48, 64, colours
        for image in pictures(5):
            container.mux(track.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(track.encode())
    return path


def test_a_title_that_is_no_utf_8_does_not_matter(tmp_path: Path) -> None:
    """AVI files of cameras and old programs have titles in the code page of their country."""
    path = write_avi(tmp_path / "hall.avi", "mpeg4", "yuv420p", title="Pruefstand")
    path.write_bytes(path.read_bytes().replace(b"Pruefstand", b"Pr\xfcf-Stand"))
    assert b"Pr\xfcf-Stand" in path.read_bytes()
    assert len(list(Clip("hall", path).frames())) == 5


def test_a_kind_of_video_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = write_avi(tmp_path / "hall.avi", "mjpeg", "yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"XQXQ"))
    with pytest.raises(DataError, match=r"hall\.avi: a kind of video that cannot be decoded"):
        list(Clip("hall", path).frames())


def write_black_pngs(path: Path, declared: int, *sides: int) -> Path:
    """Write square black frames, a few kB each however large they are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    with av.open(str(path), "w") as container:
        track = container.add_stream("png", rate=10)
        track.height, track.width, track.pix_fmt = declared, declared, "gray"
        for number, side in enumerate(sides):
            header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
            rows = zlib.compress(bytes(side * (1 + (side + 7) // 8)))
            packet = av.Packet(
                b"\x89PNG\r\n\x1a\n"
                + chunk(b"IHDR", header)
                + chunk(b"IDAT", rows)
                + chunk(b"IEND", b"")
            )
            packet.stream, packet.time_base = track, Fraction(1, 10)
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


def test_frames_too_large_to_hold_are_not_decoded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A few kB can declare frames that fill the memory, also behind a small first one."""
    path = write_black_pngs(tmp_path / "one.mov", 64, 64, 16000, *[64] * 40)
    assert len(list(Clip("one", path).frames())) == 41
    assert "one: 1 damaged packet: frames are missing or spoilt" in caplog.text
    path = write_black_pngs(tmp_path / "all.mov", 16000, 16000)
    with pytest.raises(DataError, match=r"all\.mov: frames of 16000x16000 pixels, more than 134"):
        next(Clip("all", path).frames())


def test_frames_of_a_folder_come_in_natural_order(tmp_path: Path) -> None:
    images = pictures(12)
    (clip,) = list_clips(write_frames(tmp_path / "c", images))
    read = np.stack([frame.image[:, :, 0] for frame in clip.frames()])
    np.testing.assert_array_equal(read, images)
    (half_speed,) = list_clips(tmp_path / "c", frame_rate=5)
    assert [frame.time for frame in half_speed.frames()][-1] == pytest.approx(11 / 5)


def test_digits_that_are_no_numbers_order_names_as_letters_do(tmp_path: Path) -> None:
    for name in ("10", "9", "9²", "9a"):
        write_frames(tmp_path / name, pictures(2))
    assert [clip.name for clip in list_clips(tmp_path)] == ["9", "9a", "9²", "10"]


def test_clips_below_a_folder_are_named_by_their_path_and_masks_are_passed_over(
    tmp_path: Path,
) -> None:
    for name in ("Test010", "Test002", "Test002_gt", ".hidden"):
        write_frames(tmp_path / "Test" / name, pictures(2))
    (tmp_path / "notes.txt").write_text("x")
    write_video(tmp_path / "gate.avi", pictures(3))
    assert [clip.name for clip in list_clips(tmp_path)] == ["Test/Test002", "Test/Test010", "gate"]


def test_a_folder_named_by_a_dot_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of a clip without a name would be hidden files."""
    folder = write_frames(tmp_path / "gate", pictures(2))
    (folder / "inner").mkdir()
    monkeypatch.chdir(folder)
    assert list_clips(".")[0].name == "gate"
    monkeypatch.chdir(folder / "inner")
    assert list_clips("..")[0].name == "gate"


def test_a_cut_off_video_gives_what_can_be_decoded(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.avi", pictures(200, 120, 160))
    content = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) * 3 // 4])
    frames = list(Clip("cut", tmp_path / "cut.avi").frames())
    assert 100 < len(frames) < 200


def test_damage_inside_a_video_does_not_end_it(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.avi", pictures(200, 120, 160))
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    (tmp_path / "hurt.avi").write_bytes(content)
    frames = list(Clip("hurt", tmp_path / "hurt.avi").frames())
    assert len(frames) > 150
    sound = {frame.time: frame.image for frame in Clip("whole", whole).frames()}
    assert any((frame.image != sound[frame.time]).any() for frame in frames)
    assert frames[-1].time == max(sound)


@pytest.mark.realdata
@pytest.mark.skipif(not FAULTS.is_dir(), reason="no files of faults beside the project")
def test_a_turned_video_is_read_upright(tmp_path: Path) -> None:
    turned = FAULTS / "rot90.mp4"
    (clip,) = list_clips(turned)
    first = next(clip.frames(3)).image
    with av.open(str(turned)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert stored.shape == (120, 160, 3)
    assert first.shape == (160, 120, 3)
    expected = np.rot90(stored, -1).astype(int)  # clockwise
    assert abs(first - expected).mean() < 1
    assert abs(first - np.rot90(expected, 2)).mean() > 10
    assert next(clip.frames(1, tallest=80)).image.shape == (80, 60, 1)


def test_a_turn_by_no_multiple_of_90_degrees_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upright = write_video(tmp_path / "upright.mp4", pictures(5)).read_bytes()
    matrix = upright.index(b"tkhd") + 44
    for degrees, made in ((45, 0), (90, None), (120, -90), (180, None)):
        path, angle = tmp_path / f"by{degrees}.mp4", np.deg2rad(degrees)
        cos, sin = (round(65536 * float(part)) for part in (np.cos(angle), np.sin(angle)))
        turned = struct.pack(">9i", cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30)
        path.write_bytes(upright[:matrix] + turned + upright[matrix + len(turned) :])
        clip = Clip(path.stem, path)
        on_its_side = next(clip.frames()).image.shape == (64, 48, 1)
        assert on_its_side == (degrees in (90, 120))
        assert len(list(clip.frames(3))) == 5
        if made is None:
            assert not caplog.messages
        else:
            (message,) = caplog.messages
            assert message.startswith(f"{path.stem}: is marked as turned by -")
            assert f"only quarter turns are made, here {made} degrees" in message
        caplog.clear()


def test_damage_in_a_transport_stream_is_counted(tmp_path: Path, caplog) -> None:
    ground = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    path = write_video(tmp_path / "a.ts", np.stack([np.roll(ground, n) for n in range(200)]))
    assert len(list(list_clips(path)[0].frames())) == 200
    assert not caplog.messages
    content = bytearray(path.read_bytes())
    middle, length = len(content) // 2, len(content) // 8
    content[middle : middle + length] = np.random.default_rng(1).bytes(length)
    path.write_bytes(content)
    frames = list(list_clips(path)[0].frames())
    assert 100 < len(frames) < 190
    assert "damaged packets: frames are missing or spoilt" in caplog.text
    assert re.search(r"about \d+ frames are missing, in \d gaps?; the first after", caplog.text)


@pytest.mark.parametrize("name", ["{:d}.tif", "frame_{:06d}.png"])
def test_missing_frames_of_a_folder_are_counted(name: str, tmp_path: Path, caplog) -> None:
    folder = write_frames(tmp_path / "c", pictures(80), name)
    for number in range(40, 60):
        (folder / name.format(number)).unlink()
    frames = list(list_clips(folder)[0].frames())
    assert caplog.messages == ["c: about 20 frames are missing, in 1 gap; the first after 1.5 s"]
    assert [frame.number for frame in frames] == list(range(60))
    assert len([*segments(frames)]) == 2


def test_names_that_do_not_count_frames_leave_no_gaps(tmp_path: Path, caplog) -> None:
    folder = write_frames(tmp_path / "c", pictures(8), "{:d}.tif")
    for number, new in enumerate(("a3", "b9", "c", "7", "20", "21", "22", "40"), start=1):
        (folder / f"{number}.tif").rename(folder / f"{new}.tiff")
    frames = list(list_clips(folder)[0].frames())
    assert [frame.time for frame in frames] == [number / 25 for number in range(8)]
    assert not caplog.messages


@pytest.mark.parametrize("form", ["gate%Y%m%d%H%M%S", "%Y%m%d_%H%M%S", "%Y-%m-%dT%H%M%S000"])
def test_names_by_the_time_of_day_leave_no_gap_at_each_minute(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As numbers, 08:01:00 is 41 after 08:00:59."""
    folder = write_frames(tmp_path / "c", pictures(130), "{:d}.png")
    begin = datetime(2026, 5, 4, 8, 59, 30)
    for number in range(1, 131):
        taken = begin + timedelta(seconds=number)
        (folder / f"{number}.png").rename(folder / f"{taken:{form}}.png")
    frames = list(list_clips(folder)[0].frames())
    assert frames[-1].time == 129 / 25
    assert not caplog.messages


def test_frames_that_change_size_midway_get_the_first_size(tmp_path: Path, caplog) -> None:
    parts = [write_video(tmp_path / "a.ts", pictures(10)),
             write_video(tmp_path / "b.ts", pictures(10, 96, 128))]  # fmt: skip
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(Clip("joined", joined).frames())
    assert len(frames) > 15
    assert {frame.image.shape for frame in frames} == {(48, 64, 1)}
    assert "frames were resized to the first one's size" in caplog.text


def test_links_that_lead_back_and_pipes_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "film.mp4").touch()
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe.mp4")
    names = [clip.name for clip in list_clips(tmp_path)]
    assert names == ["a/film", "a/other/film", "b/film", "b/other/film"]
    assert caplog.messages == [
        f"skipped {tmp_path}/a/other/other: this link leads back to a folder above it",
        f"skipped {tmp_path}/b/other/other: this link leads back to a folder above it",
        f"skipped {tmp_path}/pipe.mp4: not a file but a pipe, a socket or a device",
    ]


def test_an_empty_list_of_footage_is_refused() -> None:
    with pytest.raises(MissingDataError, match="footage: an empty list"):
        list_clips([])


def test_frames_of_another_size_in_a_folder_are_named(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "c", pictures(3))
    Image.fromarray(pictures(1, 32, 32)[0]).save(folder / "4.tif")
    with pytest.raises(DataError, match=r"4\.tif: 32x32 pixels, the frames before it have 48x64"):
        list(list_clips(folder)[0].frames())


@pytest.mark.parametrize("content", [b"", b"no video at all" * 50])
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.mp4"):
        list(Clip("x", tmp_path / "x.mp4").frames())


def test_a_pipe_and_a_file_that_went_are_told_from_an_empty_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.mp4")
    (clip,) = list_clips(tmp_path / "x.mp4")
    with pytest.raises(DataError, match=r"x\.mp4: cannot be opened .*\(a pipe, not a file\)"):
        next(clip.frames())
    (tmp_path / "x.mp4").unlink()
    with pytest.raises(DataError, match=r"x\.mp4: cannot be opened .*\(no such file"):
        next(clip.frames())


def test_a_file_given_as_an_address_is_no_stream() -> None:
    """It would be read again and again, and frames of it be dropped."""
    with pytest.raises(ConfigError, match=r"file:///tmp/x\.mp4: a file, not a stream"):
        list_clips("file:///tmp/x.mp4")


def test_missing_and_empty_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="nowhere"):
        list_clips(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match="neither frames"):
        list_clips(tmp_path)


def test_a_stream_that_nobody_serves_is_named() -> None:
    (clip,) = list_clips("tcp://127.0.0.1:9")
    with pytest.raises(DataError, match=r"tcp://127\.0\.0\.1:9: cannot be opened"):
        list(clip.frames())


def ucsd_tree(root: Path) -> Path:
    write_frames(root / "Train" / "Train001", pictures(4), "{:03d}.tif")
    for name in ("Test001", "Test002", "Test001_gt"):
        write_frames(root / "Test" / name, pictures(6), "{:03d}.tif")
    (root / "Test" / "UCSDped2.m").write_text(
        "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [2:3, 6:6];\n"
        "TestVideoFile{end+1}.gt_frame = [1:6];\n"
    )
    return root


def test_ucsd_tree(tmp_path: Path) -> None:
    root = ucsd_tree(tmp_path / "UCSDped2")
    assert [clip.name for clip in ucsd.clips(root, "Train")] == ["Train001"]
    names = [clip.name for clip in ucsd.clips(root, "Test")]
    truth = ucsd.read_ground_truth(root)
    assert names == list(truth) == ["Test001", "Test002"]
    abnormal = ucsd.abnormal_frames(truth["Test001"], 6)
    np.testing.assert_array_equal(abnormal, [False, True, True, False, False, True])
    with pytest.raises(DataError, match="up to frame 6, the clip has 5"):
        ucsd.abnormal_frames(truth["Test001"], 5)


def test_wrong_ucsd_layouts_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="has no folder Train"):
        ucsd.clips(tmp_path, "Train")
    write_frames(tmp_path / "Train" / "other", pictures(1))
    with pytest.raises(MissingDataError, match="Train001"):
        ucsd.clips(tmp_path, "Train")
    with pytest.raises(MissingDataError, match=r"UCSDped1\.m"):
        ucsd.read_ground_truth(tmp_path)
    (tmp_path / "Test").mkdir()
    (tmp_path / "Test" / "UCSDped1.m").write_text("gt_frame = [9:3];")
    with pytest.raises(DataError, match="clip 1"):
        ucsd.read_ground_truth(tmp_path)


def test_a_device_that_is_no_camera_is_named() -> None:
    (clip,) = list_clips("/dev/null")
    assert clip.live
    with pytest.raises(DataError, match="/dev/null: cannot be opened"):
        next(clip.frames())


@pytest.mark.parametrize("stalls", [False, True])
def test_a_stream_that_ends_or_stalls_is_read_up_to_there(
    stalls: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(video, "STREAM_TIMEOUT", 2.0)
    with camera(walkers(60), stalls) as address, caplog.at_level(logging.INFO, "adacl"):
        (clip,) = list_clips(address)
        found = [frame.number for frame in clip.frames()]
    assert found == list(range(len(found)))
    assert 50 <= len(found) <= 60
    assert "ends early" not in caplog.text
    assert not caplog.messages, "whoever connects again says that it is lost"


def test_no_frame_of_a_stream_waits_for_later_ones_to_be_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread that decodes a frame of its own would hold one back: 15 on 16 processors."""
    with av.open(str(tmp_path / "c.mkv"), "w") as container:
        track = container.add_stream("libx264", rate=25, options={"tune": "zerolatency"})
        track.height, track.width, track.pix_fmt = 64, 96, "yuv420p"
        for image in walkers(30, 1):
            container.mux(track.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(track.encode())
    fed = 0

    def counted(container, track, *_):  # type: ignore[no-untyped-def]
        nonlocal fed
        for packet in container.demux(track):
            fed += 1
            yield from packet.decode()

    monkeypatch.setattr(video, "opened", lambda *_: av.open(str(tmp_path / "c.mkv")))
    monkeypatch.setattr(video, "decoded", counted)
    (clip,) = list_clips("rtsp://gate/video")
    for number, _ in enumerate(clip.frames(), start=1):
        assert number == fed


def test_a_clock_that_runs_backwards_is_set_on(tmp_path: Path) -> None:
    """As in two recordings that were joined byte by byte."""
    parts = [write_video(tmp_path / f"{n}.ts", pictures(20)).read_bytes() for n in range(2)]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    (clip,) = list_clips(tmp_path / "joined.ts")
    times = [frame.time for frame in clip.frames()]
    assert len(times) == 40
    steps = np.diff(times)
    assert (steps > 0).all()
    assert steps.argmax() == 19
    assert steps.max() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("kind", ["avi", "mkv", "ts"])
def test_swapped_stamps_of_a_file_do_not_run_away(tmp_path: Path, kind: str) -> None:
    (clip,) = list_clips(write_swapped(tmp_path / f"a.{kind}", walkers(100)))
    times = [frame.time for frame in clip.frames()]
    assert len(times) == 100
    assert (np.diff(times) >= 0).all()
    np.testing.assert_allclose(times, np.arange(100) / 10, atol=0.5)


def test_swapped_stamps_of_a_stream_do_not_run_away(tmp_path: Path) -> None:
    content = write_swapped(tmp_path / "a.ts", walkers(100)).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send() -> None:
            with server.accept()[0] as connection:
                connection.sendall(content)

        threading.Thread(target=send, daemon=True).start()
        (clip,) = list_clips(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        frames = list(clip.frames())
    assert [frame.number for frame in frames] == list(range(100))
    times = [frame.time for frame in frames]
    assert (np.diff(times) >= 0).all()
    np.testing.assert_allclose(times, np.arange(100) / 10, atol=0.5)


@pytest.mark.realdata
def test_ground_truth_of_ped2_agrees_with_its_masks(data_dir: Path) -> None:
    root = data_dir / "ucsd_ped2" / "UCSDped2"
    truth = ucsd.read_ground_truth(root)
    frames = abnormal = 0
    for name, spans in truth.items():
        masks = sorted((root / "Test" / f"{name}_gt").iterdir())
        from_masks = [bool(np.asarray(Image.open(mask)).any()) for mask in masks]
        from_file = ucsd.abnormal_frames(spans, len(masks))
        np.testing.assert_array_equal(from_masks, from_file)
        frames, abnormal = frames + len(masks), abnormal + int(from_file.sum())
    assert (frames, abnormal) == (2010, 1648)


@pytest.mark.realdata
def test_real_footage_is_read_whole(data_dir: Path) -> None:
    (clip,) = list_clips(data_dir / "avenue" / "test" / "17.mp4")
    frames = list(clip.frames())
    assert len(frames) == 426
    assert frames[-1].time == pytest.approx(425 / 25)
    assert frames[0].image.shape == (180, 320, 1)


def test_frames_beside_videos_and_folders_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_frames(tmp_path / "c", walkers(10, 1))
    (folder / ".thumbs").mkdir()
    (folder / "c_gt").mkdir()
    assert len(list_clips(folder)) == 1
    assert not caplog.messages
    write_frames(folder / "tue", walkers(10, 1))
    assert [clip.name for clip in list_clips(folder)] == ["c"]
    assert "its frames (1.tif, …) are one clip; the folder tue in it is ignored" in caplog.text
    write_video(folder / "walk.mp4", walkers(10, 1))
    for given in (folder, tmp_path):
        with pytest.raises(
            ConfigError, match=r"c: holds frames \(1\.tif\) and videos \(walk\.mp4\)"
        ):
            list_clips(given)


@pytest.mark.parametrize("kind", ["mkv", "avi"])
def test_a_recording_that_ends_before_it_says_so_is_told(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / f"c.{kind}", walkers(100, 1))
    frames = list(list_clips(path)[0].frames())
    assert (len(frames), caplog.messages) == (100, [])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames = list(list_clips(path)[0].frames())
    assert len(frames) < 90
    last = f"{frames[-1].time:.1f} s"
    wanted = f"c: the last frame is at {last}, but the file says that it lasts 10.0 s"
    assert wanted in caplog.text


@pytest.mark.parametrize("kind", ["ts", "flv", "mpg", "mkv", "nut", "mp4"])
def test_a_file_whose_clock_does_not_begin_at_0_says_when_it_ends(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a part of a longer recording: only some kinds count its start among its length."""
    with av.open(str(tmp_path / f"c.{kind}"), "w") as container:
        track = container.add_stream("flv1" if kind == "flv" else "mpeg4", rate=25)
        track.height, track.width, track.pix_fmt = 64, 96, "yuv420p"
        for number, image in enumerate(walkers(100, 1)):
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            frame.pts, frame.time_base = 75 + number, Fraction(1, 25)
            container.mux(track.encode(frame))
        container.mux(track.encode())
    (clip,) = list_clips(tmp_path / f"c.{kind}")
    assert list(clip.frames())[-1].time == pytest.approx(3.96)
    assert clip.said_end() == pytest.approx(3.96, abs=0.1)
    assert not caplog.messages


def write_tracks(path: Path, *films: np.ndarray, cover: bool = False) -> Path:
    """Write films as tracks of one file; with ``cover`` the first is its picture."""
    with av.open(str(path), "w") as container:
        tracks = []
        for number, frames in enumerate(films):
            picture = cover and number == 0
            track = container.add_stream("mjpeg" if picture else "mpeg4", rate=10)
            track.height, track.width = frames.shape[1:3]
            track.pix_fmt = "yuvj420p" if picture else "yuv420p"
            if picture:
                track.disposition = av.stream.Disposition.attached_pic
            tracks.append(track)
        for track, frames in zip(tracks, films, strict=True):
            for image in frames:
                container.mux(track.encode(av.VideoFrame.from_ndarray(image, format="gray")))
            container.mux(track.encode())
    return path


def test_pictures_on_the_cover_are_no_footage_and_further_tracks_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    two = write_tracks(tmp_path / "two.mkv", walkers(20, 1), walkers(20, 2))
    assert len(list(Clip("two", two).frames())) == 20
    assert "two: has 2 video tracks, of which only the first is used" in caplog.text
    caplog.clear()
    cover = write_tracks(tmp_path / "c.mp4", walkers(1, 1), walkers(20, 2), cover=True)
    assert len(list(Clip("c", cover).frames())) == 20
    assert not caplog.messages
    alone = write_tracks(tmp_path / "a.mp4", walkers(1, 1), cover=True)
    with pytest.raises(DataError, match="has no video track"):
        next(Clip("a", alone).frames())


def test_a_file_in_ticks_of_a_clock_has_no_gaps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ticks.avi"
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg4", rate=25)
        track.height, track.width, track.pix_fmt = 64, 96, "yuv420p"
        track.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(walkers(60, 1)):
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            frame.pts, frame.time_base = 40 * number, Fraction(1, 1000)
            container.mux(track.encode(frame))
        container.mux(track.encode())
    assert len(list(Clip("ticks", path).frames())) == 60
    assert not caplog.messages


@pytest.mark.parametrize("footage", [None, np.zeros((4, 8, 8), np.uint8), [None]])
def test_what_is_no_footage_is_refused_in_a_sentence(footage: object) -> None:
    with pytest.raises(InputError, match=r"footage: need video files, .* got (NoneType|ndarray)"):
        list_clips(footage)  # type: ignore[arg-type]


def test_footage_may_be_a_generator(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", walkers(10, 1))
    assert [clip.name for clip in list_clips(tmp_path.glob("*.mp4"))] == ["a"]  # type: ignore[arg-type]
