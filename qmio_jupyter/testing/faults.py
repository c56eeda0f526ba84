"""What can go wrong in a simulated world, by name. Victims are picked by the world's one source of chance.

A fault returns whether it struck: one that found no victim does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qmio_jupyter.model.device import DeviceState

if TYPE_CHECKING:
    from qmio_jupyter.testing.world import World

Fault = Callable[["World"], bool]


def _gateway_crash(world: World) -> bool:
    if not world.gateway.is_up:
        return False
    world.gateway.crash(world.rng.randrange(200, 6_000))
    return True


def _next_commit(fate: str) -> Fault:
    def strike(world: World) -> bool:
        if not world.gateway.is_up:
            return False
        world.gateway.next_commit = fate
        return True

    return strike


def _disk_full(world: World) -> bool:
    if world.disk.is_full:
        return False
    world.disk.is_full = True
    world.clock.after(world.rng.randrange(200, 3_000), world.free_disk)
    return True


def _agent_crash(world: World) -> bool:
    agent = world.rng.choice(world.agents)
    if agent.protocol is None:
        return False
    agent.crash(world.rng.randrange(100, 12_000))
    return True


def _worker_crash(world: World) -> bool:
    return world.rng.choice(world.agents).crash_worker()


def _client_crash(world: World) -> bool:
    world.rng.choice(world.clients).crash()
    return True


def _clock_forward(world: World) -> bool:
    world.gateway.offset_ms += world.rng.choice((500, 5_000, 60_000, 3_600_000))
    world.gateway.wake()
    return True


def _clock_back(world: World) -> bool:
    """Set the wall clock back: a living process's clock stands still, a new one goes on from there."""
    jump_ms = world.rng.choice((300, 1_000, 3_600_000))
    world.gateway.offset_ms -= jump_ms
    if jump_ms > 1_000 or world.rng.random() < 0.5:
        world.gateway.crash(world.rng.randrange(200, 2_000))
    world.gateway.wake()
    return True


def _partition(world: World) -> bool:
    links = world.network.links()
    if not links:
        return False
    world.part(world.rng.sample(links, world.rng.randint(1, len(links))), world.rng.randrange(500, 12_000))
    return True


def _disconnect(world: World) -> bool:
    links = world.network.links()
    if not links:
        return False
    for link in world.rng.sample(links, world.rng.randint(1, len(links))):
        world.network.disconnect(link)
    return True


def _weather(**changes: float) -> Fault:
    def strike(world: World) -> bool:
        for name, value in changes.items():
            setattr(world.network.weather, name, value * world.rng.random())
        world.clock.after(world.rng.randrange(500, 6_000), world.settle_weather)
        return True

    return strike


def _forged_claim(world: World) -> bool:
    """Let an agent report a claim under numbers that are not its own: of another life, and another attempt."""
    tasks = [task for task in world.disk.tasks_by_id.values() if task.attempt and task.agent]
    if not tasks:
        return False
    task = world.rng.choice([task for task in tasks if not task.state.is_final] or tasks)
    agent = next(agent for agent in world.agents if agent.name == task.agent)
    # A number just above may become the claim's own while the forgery travels; one far above never does.
    off = world.rng.choice((-1, 1_000))
    return agent.forge(task, off, 0) and agent.forge(task, 0, off)


def _device_state(world: World) -> bool:
    device = world.rng.choice(world.devices)
    device.become(
        world.rng.choice(
            (DeviceState.OFFLINE, DeviceState.MAINTENANCE, DeviceState.CALIBRATING, DeviceState.DEGRADED)
        )
    )
    world.clock.after(world.rng.randrange(300, 5_000), device.become, DeviceState.IDLE)
    return True


def _snapshot(world: World) -> bool:
    world.rng.choice(world.devices).calibrate()
    return True


def _booking(world: World) -> bool:
    return world.operator.book()


def _booking_cancelled(world: World) -> bool:
    """Give a booking back; where there is none, make one and come again."""
    if world.operator.cancel_booking():
        return True
    world.operator.book()
    world.clock.after(world.rng.randrange(300, 2_500), world.strike, "booking cancelled")
    return False


def _cancels(world: World) -> bool:
    for client in world.clients:
        client.cancel()
    return True


#: Every fault by its name, in the report's order.
FAULTS: dict[str, Fault] = {
    "gateway crash": _gateway_crash,
    "crash before commit": _next_commit("before"),
    "crash after commit": _next_commit("after"),
    "torn commit": _next_commit("torn"),
    "failed commit": _next_commit("fail"),
    "disk full": _disk_full,
    "agent crash": _agent_crash,
    "worker crash": _worker_crash,
    "client crash": _client_crash,
    "clock forward": _clock_forward,
    "clock back": _clock_back,
    "partition": _partition,
    "disconnect": _disconnect,
    "packets dropped": _weather(drop=0.6),
    "packets doubled": _weather(duplicate=0.9),
    "packets reordered": _weather(late=0.7),
    "forged claim": _forged_claim,
    "device state": _device_state,
    "new snapshot": _snapshot,
    "booking": _booking,
    "booking cancelled": _booking_cancelled,
    "cancels": _cancels,
}
