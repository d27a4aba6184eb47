"""Images that arrive together are computed together, without waiting for each other."""

import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

from tlkit.errors import InputError, TlkitError, WeightsError
from tlkit.serving.batching import IN_FLIGHT, Batcher


class Engine:
    """Computes a batch when the test says so: each pixel value plus one."""

    batch = 8

    def __init__(self):
        self.started: list[tuple[np.ndarray, Future]] = []
        self.changed = threading.Condition()

    def submit(self, pixels):
        with self.changed:
            self.started.append((pixels, Future()))
            self.changed.notify_all()
            return self.started[-1][1]

    def wait_for(self, batches):
        with self.changed:
            self.changed.wait_for(lambda: len(self.started) >= batches)

    def finish(self, number):
        pixels, future = self.started[number]
        future.set_result((pixels.reshape(len(pixels), -1)[:, :1].astype(np.float32) + 1,))


class Preprocessor:
    """The bytes of a file are its pixels; one that is called ``gate`` waits."""

    sample_bytes = 1

    def __init__(self):
        self.at_gate, self.gate = threading.Event(), threading.Event()

    def load_bytes(self, data):
        if data == b"gate":
            self.at_gate.set()
            self.gate.wait()
        if data == b"bad":
            raise InputError("it is bad")
        return data[0]

    def to_array(self, content):
        return np.full((1, 1, 1), content, np.uint8)


@pytest.fixture
def batcher():
    engine, preprocessor = Engine(), Preprocessor()
    made = Batcher(engine, preprocessor, threads=1)
    yield made, engine, preprocessor
    preprocessor.gate.set()
    closing = threading.Thread(target=made.close)
    closing.start()
    while closing.is_alive():
        for number, (_, future) in enumerate(list(engine.started)):
            if not future.done():
                engine.finish(number)
        closing.join(0.01)


def value(future):
    return float(future.result().outputs[0][0, 0])


def test_what_arrives_meanwhile_is_the_next_batch(batcher):
    made, engine, preprocessor = batcher
    first = []
    for number in range(IN_FLIGHT):
        first.append(made.submit(bytes([number])))
        engine.wait_for(number + 1)  # alone, it waits for no other
    others = [made.submit(bytes([number])) for number in range(10, 15)]
    made.submit(b"gate")
    preprocessor.at_gate.wait()  # one thread decodes: the five are decoded
    time.sleep(0.05)  # for a batch that starts too early
    assert [len(pixels) for pixels, _ in engine.started] == [1] * IN_FLIGHT
    engine.finish(0)
    engine.wait_for(IN_FLIGHT + 1)
    assert len(engine.started[IN_FLIGHT][0]) == 5
    engine.finish(IN_FLIGHT)
    assert [value(future) for future in others] == [11, 12, 13, 14, 15]
    assert value(first[0]) == 1


def test_one_that_cannot_be_decoded_holds_nothing_up(batcher):
    made, engine, _ = batcher
    bad, good = made.submit(b"bad"), made.submit(b"\x05")
    with pytest.raises(InputError, match="it is bad"):
        bad.result()
    engine.wait_for(1)
    engine.finish(0)
    assert value(good) == 6


def test_an_engine_that_fails_fails_its_batch_alone(batcher):
    made, engine, _ = batcher
    one = made.submit(b"\x01")
    engine.wait_for(1)
    engine.started[0][1].set_exception(RuntimeError("no"))
    with pytest.raises(RuntimeError, match="no"):
        one.result()
    two = made.submit(b"\x02")
    engine.wait_for(2)
    engine.started[1][1].set_result((np.array([[np.nan]], np.float32),))
    with pytest.raises(WeightsError, match="not finite"):
        two.result()
    three = made.submit(b"\x03")
    engine.wait_for(3)
    engine.finish(2)
    assert value(three) == 4


def test_heat_maps_and_images_take_turns(batcher):
    made, engine, preprocessor = batcher
    for number in range(IN_FLIGHT):
        made.submit(bytes([number]))
        engine.wait_for(number + 1)
    outputs = []
    pixels = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    thread = threading.Thread(target=lambda: outputs.extend(made.compute(pixels)))
    thread.start()
    for number in range(30, 39):
        made.submit(bytes([number]))
    made.submit(b"gate")
    preprocessor.at_gate.wait()
    for number in range(7):
        engine.finish(number)
        if number + IN_FLIGHT < 7:
            engine.wait_for(number + IN_FLIGHT + 1)
    thread.join()
    assert outputs[0].ravel().tolist() == list(range(1, 21))
    of_heat_map = [int(batch.max()) < 30 for batch, _ in engine.started[IN_FLIGHT:7]]
    assert sorted(len(batch) for batch, _ in engine.started[IN_FLIGHT:7]) == [1, 4, 8, 8, 8]
    first = of_heat_map.index(True)
    assert all(of_heat_map[first:]) or not of_heat_map[first + 1]


def test_an_image_that_nobody_waits_for_any_more_is_not_decoded(batcher):
    made, engine, preprocessor = batcher
    made.submit(b"gate")
    preprocessor.at_gate.wait()
    gone, last = made.submit(b"bad"), made.submit(b"\x01")
    assert gone.cancel()
    preprocessor.gate.set()
    engine.wait_for(1)
    while not last.done():
        for number, (_, future) in enumerate(list(engine.started)):
            if not future.done():
                engine.finish(number)
    assert value(last) == 2


def test_an_error_on_the_way_to_the_engine_is_that_of_its_images(batcher, monkeypatch):
    made, engine, _ = batcher
    sizes = iter([ValueError("no"), None])

    def observe(size):
        if error := next(sizes):
            raise error

    monkeypatch.setattr(made, "_on_batch", observe)
    with pytest.raises(ValueError, match="no"):
        made.submit(b"\x01").result()
    two = made.submit(b"\x02")
    engine.wait_for(1)
    engine.finish(0)
    assert value(two) == 3
    assert made.works


def test_at_its_end_what_waits_fails_and_nothing_is_taken(monkeypatch):
    monkeypatch.setattr("tlkit.serving.batching.CLOSING_SECONDS", 0.1)
    engine, preprocessor = Engine(), Preprocessor()
    made = Batcher(engine, preprocessor, threads=1)
    begun = []
    for number in range(IN_FLIGHT):
        begun.append(made.submit(bytes([number])))
        engine.wait_for(number + 1)
    decoded, at_gate = made.submit(b"\x01"), made.submit(b"gate")
    preprocessor.at_gate.wait()
    waiting = made.submit(b"\x02")
    made.close()
    for future in (decoded, waiting):
        with pytest.raises(TlkitError, match="ending"):
            future.result(0)
    with pytest.raises(TlkitError, match="ending"):
        made.submit(b"\x01")
    preprocessor.gate.set()
    with pytest.raises(TlkitError, match="ending"):
        at_gate.result()
    engine.finish(0)
    assert value(begun[0]) == 1  # what is computed is given
