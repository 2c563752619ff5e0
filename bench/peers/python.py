"""The work of the benchmark, done by CPython's _thread: python.py work numbers... prints one number."""

import _thread
import itertools
import os
import sys
import threading
import time

now = time.perf_counter


callers = itertools.count()


def pin():
    """Keep the calling thread on a processor, another one for each caller; only on Linux."""
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[next(callers) % len(processors)]})


def start_one():
    """Start a thread that does nothing and wait for its end."""
    if hasattr(_thread, "start_joinable_thread"):
        _thread.start_joinable_thread(lambda: None).join()
        return
    done = _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(done.release, ())
    done.acquire()


def start(count, pause):
    total = 0
    for _ in range(int(count)):
        begin = now()
        start_one()
        total += now() - begin
        if pause > 0:
            time.sleep(pause)
    return total / count


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def memory(count):
    gate = _thread.allocate_lock()
    gate.acquire()
    arrived = []

    def stay():
        arrived.append(True)
        with gate:
            pass

    before = resident()
    for _ in range(int(count)):
        _thread.start_new_thread(stay, ())
    while len(arrived) < count:
        time.sleep(0.01)
    time.sleep(0.2)
    after = resident()
    gate.release()
    return (after - before) / count


def alone(one, count):
    begin = now()
    for _ in range(int(count)):
        one.acquire()
        one.release()
    return (now() - begin) / count


def lock(count):
    return alone(_thread.allocate_lock(), count)


def semaphore(count):
    return alone(threading.Semaphore(), count)


def event(count):
    one = threading.Event()
    begin = now()
    for _ in range(int(count)):
        one.set()
        one.is_set()
        one.clear()
    return (now() - begin) / count


def rounds_of_two(count, ours, other):
    """Seconds for a round of two threads, each of which calls its function as often."""

    def run():
        for _ in range(int(count)):
            other()

    thread = threading.Thread(target=run)
    thread.start()
    begin = now()
    for _ in range(int(count)):
        ours()
    taken = now() - begin
    thread.join()
    return taken / count


def events(count):
    there, back = threading.Event(), threading.Event()

    def ours():
        there.set()
        back.wait()
        back.clear()

    def other():
        there.wait()
        there.clear()
        back.set()

    return rounds_of_two(count, ours, other)


def conditions(count):
    condition, turns = threading.Condition(), [0]

    def take(turn):
        with condition:
            while turns[0] % 2 != turn:
                condition.wait()
            turns[0] += 1
            condition.notify()

    return rounds_of_two(count, lambda: take(0), lambda: take(1))


def barriers(count):
    barrier = threading.Barrier(2)
    return rounds_of_two(count, barrier.wait, barrier.wait)


def in_two(function):
    """Run it in two threads and return both results."""
    results, ends = [], []
    for _ in range(2):
        end = _thread.allocate_lock()
        end.acquire()
        ends.append(end)

        def run(end=end):
            results.append(function())
            end.release()

        _thread.start_new_thread(run, ())
    for end in ends:
        end.acquire()
    return results


def fight(seconds):
    one = _thread.allocate_lock()

    def run():
        pin()
        count, stop = 0, now() + seconds
        while now() < stop:
            for _ in range(64):
                one.acquire()
                one.release()
            count += 64
        return count

    return sum(in_two(run)) / seconds


def wait(seconds):
    one = _thread.allocate_lock()

    def run():
        pin()
        longest, stop = 0, now() + seconds
        while True:
            begin = now()
            one.acquire()
            end = now()
            one.release()
            longest = max(longest, end - begin)
            if end >= stop:
                return longest

    return max(in_two(run))


def ping_pong(count, apart):
    ping, pong = _thread.allocate_lock(), _thread.allocate_lock()
    ping.acquire()
    pong.acquire()

    def answer():
        if apart:
            pin()
        for _ in range(int(count)):
            ping.acquire()
            pong.release()

    _thread.start_new_thread(answer, ())
    if apart:
        pin()
    begin = now()
    for _ in range(int(count)):
        ping.release()
        pong.acquire()
    return (now() - begin) / count


def queue(count):
    """Integers a second through a SimpleQueue."""
    from queue import SimpleQueue

    through, end = SimpleQueue(), _thread.allocate_lock()

    def produce():
        for i in range(int(count)):
            through.put(i)
        end.release()

    end.acquire()
    begin = now()
    _thread.start_new_thread(produce, ())
    for _ in range(int(count)):
        through.get()
    end.acquire()
    return count / (now() - begin)


def poll(count, depth):
    """Seconds for one get_nowait of an empty SimpleQueue, so many calls deep."""
    from queue import Empty, SimpleQueue

    if depth > 1:
        return poll(count, depth - 1)
    empty = SimpleQueue()
    begin = now()
    for _ in range(int(count)):
        try:
            empty.get_nowait()
        except Empty:
            pass
    return (now() - begin) / count


def nothing():
    pass


def identity(n):
    return n


def submit(count):
    """Seconds for one task of a ThreadPoolExecutor with one thread."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(nothing).result()
        begin = now()
        for _ in range(int(count)):
            pool.submit(nothing).result()
        return (now() - begin) / count


def map(count):
    """Items a second of a map by a ThreadPoolExecutor with two threads."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=2) as pool:
        pool.submit(nothing).result()
        begin = now()
        for _ in pool.map(identity, range(int(count)), chunksize=100):
            pass
        return count / (now() - begin)


print(globals()[sys.argv[1]](*[float(number) for number in sys.argv[2:]]))
