local _thread = require "lthread"
local child = require "fixtures.child"
local threads = require "support.threads"
local raises, start = threads.raises, threads.start

describe("a Barrier", function()
  -- So many threads that wait at it.
  local function waiters(barrier, count, timeout)
    local handles, before = {}, barrier.n_waiting
    for i = 1, count do
      handles[i] = start(barrier.wait, barrier, timeout)
      assert.is_true(threads.eventually(function() return barrier.n_waiting == before + i end))
    end
    return handles
  end

  before_each(function()
    _thread.set_excepthook(function() end)
  end)

  after_each(function()
    _thread.set_excepthook(nil)
  end)

  it("has fields and refuses what it can't be made of", function()
    local barrier = _thread.Barrier { parties = 3 }
    assert.is_true(_thread.isinstance(barrier, _thread.Barrier))
    assert.same({ 3, 0, false }, { barrier.parties, barrier.n_waiting, barrier.broken })
    raises(_thread.ValueError, "parties is 0", _thread.Barrier, 0)
    raises(_thread.TypeError, "", _thread.Barrier)
    raises(_thread.TypeError, "", _thread.Barrier, 2, 1)
    raises(_thread.TypeError, "", _thread.Barrier, 2, coroutine.wrap(print))
    assert.equal(barrier, threads.call(function() return barrier end))
    assert.equal(0, _thread.Barrier(1):wait())
  end)

  it("lets all go on when they have come, over and over", function()
    local barrier, seen = _thread.Barrier(4), _thread.shared {}
    local handles = {}
    for i = 1, 4 do
      handles[i] = start(function()
        for round = 1, 200 do
          _thread.add(seen, round * 10 + barrier:wait(), 1)
        end
        return true
      end)
    end
    for _, handle in ipairs(handles) do assert.is_true(threads.result(handle)) end
    for round = 1, 200 do
      for place = 0, 3 do assert.equal(1, seen[round * 10 + place]) end
    end
  end)

  it("has the last one act, with a copy of the function", function()
    local box, upvalue = _thread.shared { calls = 0 }, 1
    local barrier = _thread.Barrier(3, function() _thread.add(box, "calls", upvalue) end)
    upvalue = 100
    local handles = waiters(barrier, 2)
    assert.equal(2, barrier:wait())
    assert.equal(1, box.calls)
    assert.equal(0, threads.result(handles[1]))
    assert.equal(1, threads.result(handles[2]))
  end)

  it("breaks by an error of the action", function()
    local barrier = _thread.Barrier(2, function() error(_thread.ValueError "no") end)
    local handle = waiters(barrier, 1)[1]
    raises(_thread.ValueError, "no", barrier.wait, barrier)
    assert.is_true(_thread.isinstance(threads.ended_by(_thread.BrokenBarrierError, handle),
      _thread.RuntimeError))
    assert.is_true(barrier.broken)
  end)

  it("breaks for all when the time of one is up", function()
    local barrier = _thread.Barrier(4)
    local handles = waiters(barrier, 2, threads.LONG)
    raises(_thread.BrokenBarrierError, "broken", barrier.wait, barrier, 0.01)
    for _, handle in ipairs(handles) do threads.ended_by(_thread.BrokenBarrierError, handle) end
    raises(_thread.BrokenBarrierError, "broken", barrier.wait, barrier)
    local impatient = _thread.Barrier(2, nil, 0.001)
    raises(_thread.BrokenBarrierError, "broken", impatient.wait, impatient)
  end)

  it("breaks for all when one is interrupted", function()
    local barrier = _thread.Barrier(4)
    local handles = waiters(barrier, 3)
    handles[2]:interrupt(_thread.ValueError)
    threads.ended_by(_thread.ValueError, handles[2])
    threads.ended_by(_thread.BrokenBarrierError, handles[1])
    threads.ended_by(_thread.BrokenBarrierError, handles[3])
    assert.is_true(barrier.broken)
    assert.equal(0, barrier.n_waiting)
  end)

  it("is aborted and reset", function()
    local barrier = _thread.Barrier(2)
    local handle = waiters(barrier, 1)[1]
    barrier:abort()
    threads.ended_by(_thread.BrokenBarrierError, handle)
    assert.is_true(barrier.broken)
    barrier:reset()
    assert.is_false(barrier.broken)
    handle = waiters(barrier, 1)[1]
    barrier:reset()
    threads.ended_by(_thread.BrokenBarrierError, handle)
    handle = waiters(barrier, 1)[1]
    assert.equal(1, barrier:wait())
    assert.equal(0, threads.result(handle))
  end)

  it("is broken by one who aborts it while the last one acts", function()
    local barrier
    local box = _thread.shared {}
    barrier = _thread.Barrier(2, function() box.barrier:abort() end)
    box.barrier = barrier
    local handle = waiters(barrier, 1)[1]
    raises(_thread.BrokenBarrierError, "", barrier.wait, barrier)
    threads.ended_by(_thread.BrokenBarrierError, handle)
  end)

  it("is told of in a dump, and given up at the end of the script", function()
    local output = child [[
      local _thread = require "lthread"
      local barrier = _thread.Barrier(2)
      _thread.start_new_thread(barrier.wait, { barrier })
      while barrier.n_waiting == 0 do _thread.sleep(0.001) end
      _thread.sleep(0.05)
      _thread.dump_traceback()
    ]]
    assert.matches("blocked on Barrier 0?x?%x+ for ", output)
    assert.matches("status 0\n$", output)
  end)
end)
