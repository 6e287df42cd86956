"""The loop that everything runs on: whose turn it is is drawn, all else is in order."""

from __future__ import annotations

import asyncio
import random

from simulation.loop import Actor, SeededLoop, seeded_loop


def _loop(seed: int = 1) -> SeededLoop:
    return seeded_loop(random.Random(seed))


def test_the_steps_of_one_actor_keep_their_order() -> None:
    loop, done = _loop(), list[tuple[str, int]]()
    actors = [loop.actor(name) for name in "abc"]
    for actor in actors:
        for number in range(20):
            loop.call_soon(done.append, (actor.name, number), context=actor.context)
    loop.run()
    for actor in actors:
        assert [n for name, n in done if name == actor.name] == list(range(20))
    assert [name for name, _ in done] != sorted(name for name, _ in done)  # they took turns


def test_the_seed_decides_whose_turn_it_is() -> None:
    def order(seed: int) -> list[str]:
        loop, done = _loop(seed), list[str]()
        for name in "abcdef":
            loop.call_soon(done.append, name, context=loop.actor(name).context)
        loop.run()
        return done

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 1


def test_time_jumps_to_the_next_timer() -> None:
    loop, seen = _loop(), list[float]()
    actor = loop.actor("a")
    for seconds in (3_600.0, 0.5):
        loop.call_later(seconds, lambda: seen.append(loop.time()), context=actor.context)
    loop.run()
    assert seen == [0.5, 3_600.0]


def test_a_task_and_what_it_waits_for_belong_to_who_made_it() -> None:
    loop = _loop()
    actor = loop.actor("a")
    whose = list[Actor]()

    async def work() -> None:
        await asyncio.sleep(1)
        whose.append(loop.current())

    loop.create_task(work(), context=actor.context)
    loop.run()
    assert whose == [actor]
    assert actor.tasks[0].done()


def test_who_stands_still_goes_on_where_it_was() -> None:
    loop, seen = _loop(), list[float]()
    sleeper, world = loop.actor("sleeper"), loop.actor("world")

    async def tick() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(loop.time())

    loop.create_task(tick(), context=sleeper.context)
    loop.call_later(1.5, loop.pause, sleeper, context=world.context)
    loop.call_later(9.0, loop.go_on, sleeper, context=world.context)
    loop.run()
    assert seen == [1.0, 9.0, 10.0]


def test_who_is_dead_does_not_even_clean_up() -> None:
    loop, done = _loop(), list[str]()
    dying, world = loop.actor("dying"), loop.actor("world")

    async def work() -> None:
        try:
            await asyncio.sleep(2)
        finally:
            done.append("cleaned up")

    loop.create_task(work(), context=dying.context)
    loop.call_later(1.0, loop.kill, dying, context=world.context)
    loop.call_later(5.0, lambda: done.append("over"), context=world.context)
    loop.run()
    assert done == ["over"]
    assert not dying.tasks[0].done()


def test_an_alarm_comes_before_the_step_of_its_number() -> None:
    loop, done = _loop(), list[int]()
    actor = loop.actor("a")
    actor.alarms.append((3, lambda: loop.kill(actor)))
    for number in range(10):
        loop.call_soon(done.append, number, context=actor.context)
    loop.run()
    assert done == [0, 1, 2]
