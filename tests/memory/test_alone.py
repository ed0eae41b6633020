"""Who is alone at the writer keeps everybody else waiting, and nobody for ever."""

import subprocess
import threading

import pytest

from gitmem.domains.sessions import LiveSession, place_of
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.memory.pending import PendingCommit
from tests.proofs.workers import Worker, agent, make

WEB = place_of("web")


def write(memory: Memory, number: int) -> None:
    with memory.transaction(memory.view(WEB), Caller("ann"), f"write {number}") as change:
        change.put(LiveSession(scope="projects/web", id=f"web_ann_{number:04x}", agent="ann"))


def test_nobody_writes_while_one_is_alone_and_all_do_afterwards(memory: Memory):
    write(memory, 0)
    threads = [threading.Thread(target=write, args=(memory if number % 2 else Memory(memory.path), number)) for number in range(1, 9)]
    with memory.writer.alone():
        head = memory.head(WEB)
        for each in threads:
            each.start()
        for each in threads:
            each.join(0.05)
        assert memory.head(WEB) == head
    for each in threads:
        each.join()
    assert len(list(memory.repository.log(memory.head(WEB)))) == 9


def test_many_who_want_to_be_alone_are_so_one_by_one_among_writers(memory: Memory):
    write(memory, 0)
    start, inside, most = threading.Barrier(12), list[int](), list[int]()

    def alone(number: int) -> None:
        start.wait()
        for _ in range(5):
            with memory.writer.alone():
                inside.append(number)
                most.append(len(inside))
                head = memory.head(WEB)
                assert memory.head(WEB) == head
                inside.remove(number)

    def writing(number: int) -> None:
        start.wait()
        for step in range(5):
            write(memory, number * 100 + step + 1)

    threads = [threading.Thread(target=alone if number % 2 else writing, args=(number,)) for number in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [1] * 30
    assert len(list(memory.repository.log(memory.head(WEB)))) == 31


def test_a_failure_while_alone_lets_the_others_go_on(memory: Memory):
    with pytest.raises(RuntimeError), memory.writer.alone():
        raise RuntimeError
    write(memory, 1)
    assert memory.head(WEB)


def test_another_process_waits_too(memory: Memory):
    make(memory.path)
    with agent(memory.path) as ann:
        worker = Worker("recorder", memory.path, 1, 1).ready()
        head = ann.memory.head()
        with ann.memory.writer.alone():
            worker.go()
            with pytest.raises(subprocess.TimeoutExpired):
                worker.process.wait(0.5)
            assert ann.memory.head() == head
        assert len(worker.finish()) == 1


def test_who_stands_in_line_is_not_overtaken_by_other_processes_and_holds_up_none_of_the_own(memory: Memory):
    write(memory, 0)
    other = Memory(memory.path)  # has file locks of its own, as another process does
    overtaking = threading.Thread(target=write, args=(other, 1))
    own = threading.Thread(target=write, args=(memory, 2))
    with memory.writer.in_line():
        overtaking.start()
        overtaking.join(0.05)
        own.start()
        own.join(10)
        write(memory, 3)
        assert [each.subject for each in memory.repository.log(memory.head(WEB))] == ["write 3", "write 2", "write 0"]
    overtaking.join(10)
    assert next(iter(memory.repository.log(memory.head(WEB)))).subject == "write 1"
    other.close()


def test_a_listener_that_fails_does_not_hurt_the_write(memory: Memory, caplog: pytest.LogCaptureFixture):
    def fail(_: PendingCommit) -> None:
        raise ZeroDivisionError("in a listener")

    memory.writer.listeners.append(fail)
    write(memory, 1)
    write(memory, 2)
    assert len(list(memory.view(WEB).records(LiveSession))) == 2
    assert "in a listener" in caplog.text


def test_an_interrupt_in_a_listener_leaves_the_lead_to_the_next(memory: Memory):
    def interrupt(_: PendingCommit) -> None:
        memory.writer.listeners.clear()
        raise KeyboardInterrupt

    memory.writer.listeners.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(memory, 1)
    next_one = threading.Thread(target=write, args=(memory, 2), daemon=True)
    next_one.start()
    next_one.join(20)
    assert [each.id for each in memory.view(WEB).records(LiveSession)] == ["web_ann_0002"]
