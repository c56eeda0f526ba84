"""What only `echo` promises; the rest is the contract of drivers."""

import threading

import msgspec
import pytest

from qmio_jupyter.drivers import echo as module
from qmio_jupyter.drivers.echo import make
from qmio_jupyter.drivers.sizes import RESULT_BYTES
from qmio_jupyter.errors import ConfigError, DeviceError, QmioError, TaskCancelledError
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.program import OCTETS
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.model.task import ParameterMatrix
from qmio_jupyter.testing import runs

SOON_S = 30
ANYTHING = runs.program(b"\xff\x00 anything at all", OCTETS)


@pytest.fixture
def echo():
    driver = make("echo", {})
    yield driver
    driver.close()


def start(driver, **options):
    partials = []
    run = runs.run(ANYTHING, device="echo", **options)
    return driver.start(run, partials.append, lambda stage: None), partials


def test_without_device_time_it_has_ended_when_start_returns(echo):
    future, partials = start(echo, shots=100)
    assert future.done()
    assert partials == []
    assert sum(count for _, count in outcomes(future.result().items[0])) == 100


def test_counts_come_from_the_seed_alone(echo):
    one, same, other = (start(echo, seed=seed)[0].result().items for seed in (1, 1, 2))
    assert one == same != other


def test_fewer_shots_are_the_beginning_of_more(echo):
    long = start(echo, shots=100, memory=True)[0].result().items[0].bindings[0].memory
    short = start(echo, shots=37, memory=True)[0].result().items[0].bindings[0].memory
    assert long[:37] == short


def test_outcomes_are_even_enough(echo):
    counts = dict(outcomes(start(echo, shots=100_000)[0].result().items[0]))
    assert set(counts) == {"00", "11"}
    assert abs(counts["00"] - 50_000) < 5 * (100_000 * 0.25) ** 0.5


def test_any_number_of_bits(echo):
    item = start(echo, device_options={"bits": "130"})[0].result().items[0]
    assert item.n_bits == 130
    assert {text for text, _ in outcomes(item)} == {"0" * 130, "1" * 130}


def test_partials_as_asked_for_cover_the_shots_evenly(echo):
    future, partials = start(echo, shots=1000, device_options={"seconds": "0.01", "partials": "4"})
    final = future.result(SOON_S)
    assert [p.shots_done for p in partials] == [200, 400, 600, 800]
    assert [p.revision for p in (*partials, final)] == [1, 2, 3, 4, 5]


def test_partials_come_at_batches_when_time_passes(echo):
    future, partials = start(echo, shots=1000, batch_shots=250, device_options={"seconds": "0.01"})
    future.result(SOON_S)
    assert [p.shots_done for p in partials] == [250, 500, 750]


def test_it_fails_when_asked_to_with_the_code_asked_for(echo):
    assert start(echo, device_options={"fail": "yes"})[0].exception().code == "agent"
    assert start(echo, device_options={"fail": "program.syntax"})[0].exception().code == "program.syntax"
    assert start(echo, device_options={"fail": "no"})[0].exception() is None


def test_real_pace_takes_what_the_cost_model_says():
    driver = make("echo", {"t0_s": "0.02", "per_shot_s": "0.0001"})
    try:
        future, _ = start(driver, shots=100, pace="real")
        assert not future.done() or dict(future.result().durations)["on_device"] >= 0.03
        assert dict(future.result(SOON_S).durations)["on_device"] >= 0.03
        assert start(driver, shots=100)[0].done()
    finally:
        driver.close()


def test_timed_tasks_take_the_device_one_after_the_other(echo):
    first, _ = start(echo, device_options={"seconds": "3600"})
    second, _ = start(echo, device_options={"seconds": "0.001"})
    assert not second.done()
    at_once, _ = start(echo)
    assert at_once.done()
    assert not first.done()


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "soon", "1e9"])
def test_a_wrong_number_is_named(echo, value):
    error = start(echo, device_options={"seconds": value})[0].exception()
    assert isinstance(error, DeviceError)
    assert error.code == "device.option"
    assert "seconds" in error.message
    assert value in error.message


@pytest.mark.parametrize(
    ("options", "named"),
    [({"t0_s": "x"}, "t0_s"), ({"colour": "red"}, "colour"), ({"batch_shots": "0"}, "batch_shots")],
)
def test_wrong_settings_are_named(options, named):
    with pytest.raises(ConfigError, match=named):
        make("echo", options)


def test_closing_wakes_an_idle_thread():
    driver = make("echo", {})
    start(driver, device_options={"seconds": "0.001"})[0].result(SOON_S)
    closing = threading.Thread(target=driver.close)
    closing.start()
    closing.join(SOON_S)
    assert not closing.is_alive()
    with pytest.raises(QmioError):
        start(driver, device_options={"seconds": "1"})[0].result(SOON_S)


def test_stopping_ends_only_what_is_named(echo):
    run = runs.run(ANYTHING, device="echo", device_options={"seconds": "3600"})
    future = echo.start(run, lambda result: None, lambda stage: None)
    other, _ = start(echo, device_options={"seconds": "3600"})
    echo.stop(run.task_id)
    with pytest.raises(TaskCancelledError):
        future.result(SOON_S)
    assert not other.done()


MATRIX = ParameterMatrix(names=("x",), bindings=100_000, data=bytes(800_000))


@pytest.mark.parametrize(
    ("programs", "options", "code"),
    [
        (1, {"parameters": MATRIX, "shots": 10_000_000}, "limit.shots"),
        (1000, {"shots": 10_000_000}, "limit.shots"),
        (2, {"parameters": MATRIX, "shots": 1}, "limit.size"),
        (7, {"shots": 10_000_000, "memory": True}, "limit.size"),
        (1, {"shots": 1_000_000, "memory": True, "device_options": {"bits": "4096"}}, "limit.size"),
        (
            1,
            {"parameters": ParameterMatrix(names=(), bindings=2, data=b""), "shots": 1},
            "program.parameters",
        ),
    ],
)
def test_what_is_too_much_is_refused_at_once(echo, programs, options, code):
    run = runs.run(*[ANYTHING] * programs, device="echo", **options)
    future = echo.start(run, lambda result: None, lambda stage: None)
    assert future.done()
    assert future.exception().code == code
    assert future.exception().hint


def test_the_shots_it_says_would_fit_do(echo):
    asked = {"memory": True, "device_options": {"bits": "4096"}}
    error = start(echo, shots=1_000_000, **asked)[0].exception()
    fitting = int(error.hint.split("at most ")[1].split()[0])
    result = start(echo, shots=fitting, **asked)[0].result(SOON_S)
    assert 0.99 * RESULT_BYTES < len(msgspec.msgpack.encode(result)) <= RESULT_BYTES


@pytest.mark.parametrize(
    "options",
    [
        {"shots": 1_000_001},
        {"shots": 20_001, "memory": True},
        {"shots": 1, "parameters": ParameterMatrix(names=("x",), bindings=201, data=bytes(1608))},
    ],
)
def test_large_results_are_never_made_where_start_is_called(echo, options, monkeypatch):
    made_in = set()
    draw = module._counts
    monkeypatch.setattr(
        module, "_counts", lambda *words: made_in.add(threading.current_thread()) or draw(*words)
    )
    assert start(echo, **options)[0].result(SOON_S).is_final
    assert made_in
    assert threading.current_thread() not in made_in


def test_a_large_result_is_made_in_pieces_that_can_be_stopped(echo, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    pieces = []
    draw = module._counts

    def slow(*words):
        pieces.append(words)
        begun.set()
        assert go_on.wait(SOON_S)
        return draw(*words)

    monkeypatch.setattr(module, "_counts", slow)
    run = runs.run(ANYTHING, device="echo", shots=1, parameters=MATRIX)
    future = echo.start(run, lambda result: None, lambda stage: None)
    assert begun.wait(SOON_S)
    echo.stop(run.task_id)
    with pytest.raises(TaskCancelledError):
        future.result(SOON_S)
    go_on.set()
    assert start(echo, device_options={"seconds": "0.001"})[0].result(SOON_S).is_final
    assert len(pieces) == 2


def test_a_defect_costs_one_task_not_the_device(echo, monkeypatch):
    def broken(*words):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(module, "_counts", broken)
        error = start(echo, device_options={"seconds": "0.001"})[0].exception(SOON_S)
        assert error.code == "agent.worker"
    assert start(echo, device_options={"seconds": "0.001"})[0].result(SOON_S).is_final


def test_its_cost_is_announced_where_it_is_configured(echo):
    assert echo.describe().cost == CostModel()
    driver = make("echo", {"t0_s": "2", "per_shot_s": "0.5"})
    assert driver.describe().cost == CostModel(t0_s=2.0, per_shot_s=0.5)
    driver.close()
