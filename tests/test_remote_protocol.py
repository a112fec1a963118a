"""What the two ends of a channel say to each other: made and read, and refused where it is not ours."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import pickle
import select
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import pytest

from anyjob import Call, Command, File, Outcome
from anyjob.errors import SpecError, StateError
from anyjob.job import JobStatus
from anyjob.ledger.encoding import encode_resources
from anyjob.orders import Order
from anyjob.outcome import KeptByBackend
from anyjob.remote import frames, packing, pickle_inspection
from anyjob.remote.far.arriving_bodies import ArrivingBodies
from anyjob.remote.messages import (
    INLINE,
    LARGEST,
    Data,
    JobIds,
    Missing,
    Put,
    RemoteObservation,
    RemoteOutcome,
)
from anyjob.resources import Resources
from anyjob.runtime.recording.content_store import ContentStore, sample_of

ID = "0123456789abcdef0123"


def test_messages_come_out_as_they_went_in_however_they_are_cut() -> None:
    sent: list[tuple[int, str, Any]] = [
        (1, "find", JobIds("local", [ID])),
        (2, "ping", None),
        (0, "changed", {"ids": []}),
    ]
    stream = b"".join(bytes(part) for each in sent for part in frames.encode(*each))
    for size in (1, 3, 7, len(stream)):
        reader = frames.FrameReader()
        found = [m for at in range(0, len(stream), size) for m in reader.feed(stream[at : at + size])]
        assert [frames.decode(m)[:2] for m in found] == [each[:2] for each in sent]
        assert frames.decode_body(frames.decode(found[0])[2], JobIds) == JobIds("local", [ID])


def test_large_data_come_out_as_they_went_in_and_are_not_copied_before_they_go() -> None:
    data = os.urandom(300_000)
    sent: list[tuple[int, str, Any]] = [
        (1, "put", Put(1, 7, "a" * 64, data=memoryview(data))),
        (2, "ok", Data(data=memoryview(b""))),
        (3, "ok", Data(9, data=memoryview(data[:100_000]))),
    ]
    kinds = (Put, Data, Data)
    encoded = [frames.encode(*each) for each in sent]
    assert encoded[0][1].obj is data  # type: ignore[union-attr]
    assert [msgspec.msgpack.decode(head[4:] + data) for head, data in encoded] == [
        list(msgspec.to_builtins(each, builtin_types=(memoryview,))) for each in sent
    ], "msgpack, as whoever else writes it"
    stream = b"".join(bytes(part) for message in encoded for part in message)
    reader, writer = os.pipe()
    found: list[bytes | bytearray] = []
    frame_reader = frames.FrameReader()
    for at in range(0, len(stream), 50_000):
        os.write(writer, stream[at : at + 50_000])
        while select.select([reader], [], [], 0)[0]:
            found += frame_reader.read(reader)
    os.close(writer)
    with pytest.raises(EOFError):
        list(frame_reader.read(reader))
    os.close(reader)
    came = [frames.decode(message) for message in found]
    bodies = [frames.decode_body(body, kind) for (_, _, body), kind in zip(came, kinds, strict=True)]
    assert [(*one[:2], body) for one, body in zip(came, bodies, strict=True)] == sent


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"*** Welcome ***",
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode(["1", "ok", None]),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(frames.NotOurs):
        frames.decode(data)


def test_a_message_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(frames.NotOurs, match="a message of"):
        list(frames.FrameReader().feed((LARGEST + 1).to_bytes(4, "big")))


@pytest.mark.parametrize("body", [{"names": [1]}, {"names": "x"}, [], {"name": []}, None])
def test_a_body_of_other_types_is_refused(body: Any) -> None:
    with pytest.raises(frames.NotOurs, match="Missing"):
        frames.decode_body(msgspec.msgpack.encode(body), Missing)


def order(spec: Any, **environment: str) -> Order:
    return Order(job_id=ID, spec=spec, resources=Resources(cpus=2, name="n\udcff"), environment=environment)


def travelled(given: Order) -> tuple[Any, Resources, packing.Bodies]:
    large: packing.Bodies = {}
    packed = packing.pack(
        given,
        encode_resources(given.resources),
        large,
        lambda job_id: Path("no-job"),
        lambda spec: "what it is",
    )
    data = msgspec.msgpack.encode(packed)
    came = msgspec.msgpack.decode(data, type=type(packed))
    spec = packing.unpack_work(came.work, lambda sha256: bytes(large[sha256]))
    return spec, packing.unpack_resources(came.resources), large


def test_a_command_travels_byte_for_byte(tmp_path: Path) -> None:
    """Whatever its arguments hold; what is large goes by itself, once, by its hash."""
    path = tmp_path / "data"
    path.write_bytes(os.urandom(INLINE + 1))
    given = Command(
        ["prog", b"\xff\xfe", "ü\n"],  # type: ignore[list-item]
        env={"A": b"\xfd"},  # type: ignore[dict-item]
        stdin=path,  # type: ignore[arg-type]
        files={"x": path, "small": __file__},  # type: ignore[dict-item]
    )
    spec, resources, large = travelled(order(given, ANYJOB_JOB_ID=ID, FROM_HOOK="1"))
    assert spec.argv == given.argv
    assert spec.env == {"FROM_HOOK": "1", "A": "\udcfd"}
    assert (resources.cpus, resources.name) == (2, "n\udcff")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert large == {sha256: path.read_bytes()}
    assert spec.stdin == spec.files["x"] == File("data", sha256=sha256)
    assert spec.files["small"].content == Path(__file__).read_bytes()


def test_a_call_travels_pickled_and_is_not_unpickled_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, _, _ = travelled(order(Call(divmod, (7, 2)), X="1"))
    monkeypatch.setattr(pickle, "loads", None)
    assert (spec.text, spec.env) == ("what it is", {"X": "1"})
    monkeypatch.undo()
    fn, args, kwargs = pickle.loads(spec.pickled)
    assert fn(*args, **kwargs) == spec.fn() == (3, 1)


def test_a_large_result_is_told_and_stays_there() -> None:
    for value, expected in (
        (b"x" * INLINE, b"x" * INLINE),
        (b"x" * (INLINE + 1), KeptByBackend(ID)),
        (None, None),
    ):
        packed = packing.pack_outcome(Outcome(status=JobStatus.DONE, value=value))
        found = packing.unpack_outcome(packed, ID, trusted=True).value
        assert (type(found), found) == (type(expected), expected)


def test_whatever_an_outcome_tells_travels() -> None:
    """What a call had raised was not told by its types: the field was new, and known at one end alone."""
    assert {*RemoteOutcome.__struct_fields__} == {*Outcome.__struct_fields__, "value_size"}
    for told in (
        Outcome(status=JobStatus.ERROR, reason="exception", exception_types=("ConnectionError", "OSError")),
        Outcome(status=JobStatus.ERROR, reason="dependency", lost_result=ID),
    ):
        packed = msgspec.msgpack.encode(packing.pack_outcome(told))
        found = packing.unpack_outcome(msgspec.msgpack.decode(packed, type=RemoteOutcome), ID, trusted=True)
        assert found == told


def test_of_what_is_not_trusted_nothing_pickled_is_kept() -> None:
    told = RemoteOutcome("ERROR", "exception", value=b"v", exception=b"e", traceback="Traceback")
    found = packing.unpack_outcome(told, ID, trusted=False)
    assert (found.value, found.exception, found.traceback) == (None, None, "Traceback")


def test_a_status_that_is_none_is_an_error() -> None:
    with pytest.raises(KeyError):
        packing.unpack_observation(RemoteObservation("FINISHED"))


@pytest.mark.parametrize(("text", "told"), [("\udcff", "\\udcff"), ("ü", "ü")])
def test_text_of_an_engine_that_is_no_text_can_be_told(text: str, told: str) -> None:
    packed = packing.pack_outcome(Outcome(status=JobStatus.ERROR, message=text, traceback=text))
    found = msgspec.msgpack.decode(msgspec.msgpack.encode(packed), type=RemoteOutcome)
    assert (found.message, found.traceback) == (told, told)


def test_modules_that_a_pickle_names_are_found_without_importing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mod_a", "mod_b", "mod_c"):
        (tmp_path / f"{name}.py").write_text("class Thing: pass\ndef f(): return Thing()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    a, b, c = (importlib.import_module(name) for name in ("mod_a", "mod_b", "mod_c"))
    plain = pickle.dumps((a.f, (b.Thing(), b.Thing(), "mod_c"), {"x": os.path.join}))
    assert pickle_inspection.names_in(plain) == (("mod_a", "mod_b"), False)
    nested = cloudpickle.dumps((lambda: c.f(), ()))
    found = pickle_inspection.names_in(nested)
    assert found.by_value
    assert {"mod_c", "cloudpickle"} <= set(found.modules)


def test_a_body_is_there_once_it_is_whole_and_is_what_its_hash_says(tmp_path: Path) -> None:
    store, data = ContentStore(tmp_path), b"0123456789"
    arriving, sha256 = ArrivingBodies(store), hashlib.sha256(data).hexdigest()
    assert store.missing([sha256]) == [sha256]
    arriving.put(1, 0, data[:4])
    assert store.missing([sha256]) == [sha256]
    sample = sample_of(io.BytesIO(data), len(data))
    assert not store.may_have(len(data), sample)
    arriving.put(1, 4, data[4:], sha256)
    assert (store.missing([sha256]), store.load(sha256)) == ([], data)
    assert store.may_have(len(data), sample)
    assert not store.may_have(len(data), sample_of(io.BytesIO(data[::-1]), len(data)))
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(SpecError, match="has not come as it was"):
        arriving.put(2, 0, b"something else", other)
    with pytest.raises(StateError, match="is not there any more"):
        store.load(other)
    assert [path.name for path in store.path(sha256).parent.iterdir()] == [sha256]


def test_bodies_of_two_channels_are_not_taken_for_one(tmp_path: Path) -> None:
    """Both number theirs from one, and their processes may have one number, on two hosts or in containers."""
    store, data = ContentStore(tmp_path), bytes(range(20))
    one, other = ArrivingBodies(store), ArrivingBodies(store)
    one.put(1, 0, data[:10])
    other.put(1, 0, data[10:], hashlib.sha256(data[10:]).hexdigest())
    one.put(1, 10, data[10:], hashlib.sha256(data).hexdigest())
    assert store.load(hashlib.sha256(data).hexdigest()) == data


def test_a_body_is_hashed_as_it_comes_in_any_order_and_one_with_a_hole_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read again at its end took longer than an answer may, where it was larger than the memory."""
    store, data = ContentStore(tmp_path), bytes(range(30))
    arriving, sha256 = ArrivingBodies(store), hashlib.sha256(data).hexdigest()
    read: list[int] = []
    pread = os.pread

    def note(fd: int, size: int, at: int) -> bytes:
        read.append(size)
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", note)
    arriving.put(1, 0, data[:10])
    with pytest.raises(SpecError, match="has not come as it was"):
        arriving.put(1, 20, data[20:], sha256)
    assert store.missing([sha256]) == [sha256]
    read.clear()
    for offset, end in ((0, ""), (20, ""), (10, ""), (30, sha256)):
        arriving.put(2, offset, data[offset : offset + 10], end)
    assert sum(read) == 10, "that of the part which came before its turn"
    assert store.load(sha256) == data


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_a_hash_that_is_none_is_no_path(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(SpecError, match="is no hash"):
        ContentStore(tmp_path).load(sha256)
