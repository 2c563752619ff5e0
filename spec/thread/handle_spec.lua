local _thread = require "lthread"
local setups = require "support.setups"
local threads = require "support.threads"

local LONG, held, call = threads.LONG, threads.held, threads.call
local raises, eventually, info_of = threads.raises, threads.eventually, threads.info_of
local quiet = threads.quiet

setups.alone()

-- The handle of a thread that returns when the lock is released.
local function start_held()
  local go = held()
  return _thread.start_joinable_thread(function()
    go:acquire()
    return "shared"
  end), go
end

describe("a handle", function()
  it("joins and knows the ident", function()
    local handle = _thread.start_joinable_thread(_thread.get_ident)
    assert.is_true(handle:join())
    assert.is_true(handle:is_done())
    assert.equal(handle.ident, (handle:result()))
    assert.truthy(tostring(handle):find(tostring(handle.ident), 1, true))
  end)

  it("joins a thread that has long exited, several times", function()
    local handle = _thread.start_joinable_thread(function() end)
    assert.is_true(eventually(function() return handle:is_done() end))
    assert.is_true(handle:join())
    assert.is_true(handle:join())
    assert.is_true(handle:join(0))
  end)

  it("may be dropped without a join", function()
    local go, done = held(), held()
    do
      local handle = _thread.start_joinable_thread(function()
        go:acquire()
        done:release()
      end)
      assert.is_false(handle:is_done())
    end
    collectgarbage()
    collectgarbage()
    go:release()
    assert.is_true(done:acquire(true, LONG))
  end)

  it("can't join its own thread", function()
    local given, tried = held(), held()
    local box = _thread._ThreadHandle()
    local handle = _thread.start_joinable_thread(function(mine)
      given:acquire()
      local ok, e = pcall(mine.join, mine)
      local is = _thread.isinstance(e, _thread.RuntimeError)
      tried:release()
      return ok, is, e.message
    end, { handle = box, args = { box } })
    given:release()
    assert.is_true(tried:acquire(true, LONG))
    assert.same({ false, true, "Cannot join current thread" }, { handle:result() })
  end)

  it("refuses to join itself also while another thread joins it", function()
    local go, handle = held(), _thread._ThreadHandle()
    _thread.start_joinable_thread(function(mine)
      go:acquire()
      return select(2, pcall(mine.join, mine)).message
    end, { handle = handle, args = { handle } })
    local joiner = _thread.start_joinable_thread(function() return handle:join() end)
    assert.is_true(eventually(function()
      return info_of(joiner.ident).state == "blocked"
    end))
    go:release()
    assert.is_true(handle:join())
    assert.is_true((joiner:result()))
    assert.equal("Cannot join current thread", (handle:result()))
  end)

  it("joins with a timeout", function()
    local lock = held()
    local handle = _thread.start_joinable_thread(function() lock:acquire() end)
    assert.is_false(handle:join(0.01))
    assert.is_false(handle:join{ timeout = 0 })
    assert.is_false(handle:is_done())
    lock:release()
    assert.is_true(handle:join(-1))
    assert.is_true(handle:is_done())
  end)

  it("refuses a wrong timeout", function()
    local handle = _thread.start_joinable_thread(function() end)
    raises(_thread.ValueError, "nan", handle.join, handle, 0 / 0)
    raises(_thread.OverflowError, "too large", handle.join, handle, math.huge)
    raises(_thread.TypeError, "number expected", handle.join, handle, "soon")
    assert.is_true(handle:join())
  end)

  it("of no thread yet can't be joined", function()
    local handle = _thread._ThreadHandle()
    assert.equal(0, handle.ident)
    assert.is_false(handle:is_done())
    raises(_thread.RuntimeError, "thread not started", handle.join, handle)
    raises(_thread.RuntimeError, "thread not started", handle.result, handle)
  end)

  it("is joined from several threads at once", function()
    local handle, go = start_held()
    local joiners = {}
    for i = 1, 5 do
      joiners[i] = _thread.start_joinable_thread(function()
        return handle:join(), handle:result()
      end)
    end
    go:release()
    for i = 1, 5 do
      assert.same({ true, "shared" }, { joiners[i]:result() })
    end
    assert.equal("shared", (handle:result()))
  end)

  it("is joined by more threads than are woken at a time", function()
    local COUNT <const> = 200
    local handle, go = start_held()
    local joiners = {}
    for i = 1, COUNT do
      joiners[i] = _thread.start_joinable_thread(function(timeout)
        return handle:join(timeout), handle:is_done(), (handle:result())
      end, { args = { i % 4 == 0 and LONG or nil } })
    end
    assert.is_true(eventually(function()
      local blocked = 0
      for _, info in ipairs(_thread.enumerate()) do
        blocked = blocked + (info.state == "blocked" and 1 or 0)
      end
      return blocked == COUNT + 1
    end))
    go:release()
    for i = 1, COUNT do
      assert.is_true(joiners[i]:join(LONG))
      assert.same({ true, true, "shared" }, { joiners[i]:result() })
    end
  end)

  -- What goes along takes the one who starts a while, in which the other comes.
  it("is started by one of two threads that try at the same moment", function()
    local runs = _thread.shared { count = 0 }
    local function try(handle, name, ready, go, load)
      ready:release()
      go:acquire()
      local ok, e = pcall(_thread.start_joinable_thread, function(_, by)
        _thread.add(runs, "count", 1)
        return by
      end, { handle = handle, args = { load, name } })
      return ok, not ok and e.__class__.__name__, not ok and e.message, ok and e == handle
    end
    for round = 1, 100 do
      local handle, load = _thread._ThreadHandle(), {}
      for i = 1, 1000 do load[i] = { i } end
      local triers, ready, gos = {}, held(), { held(), held() }
      for i, name in ipairs { "one", "other" } do
        triers[i] = threads.start(try, handle, name, ready, gos[i], load)
        assert.is_true(threads.await(ready))
      end
      gos[round % 2 + 1]:release()
      gos[2 - round % 2]:release()
      local one, other = { threads.result(triers[1]) }, { threads.result(triers[2]) }
      assert.are_not.equal(one[1], other[1])
      local winner, loser = one, other
      if other[1] then winner, loser = other, one end
      assert.is_true(winner[4])
      assert.same({ "RuntimeError", "thread already started" }, { loser[2], loser[3] })
      assert.equal(winner == one and "one" or "other", (threads.result(handle)))
      assert.equal(round, runs.count)
    end
  end)

  it("crosses states by reference", function()
    local go = held()
    local handle = _thread.start_joinable_thread(function() go:acquire() end)
    local ident, done, back = call(function(h)
      return h.ident, h:is_done(), { h, h }
    end, handle)
    assert.equal(handle.ident, ident)
    assert.is_false(done)
    assert.equal(handle, back[1])
    assert.equal(back[1], back[2])
    go:release()
    assert.is_true(back[1]:join())
    assert.is_true(handle:is_done())
  end)

  it("returns all results of the function, each time a new copy", function()
    local handle = _thread.start_joinable_thread(function() return nil, { 1 }, nil end)
    local first, second = table.pack(handle:result()), table.pack(handle:result())
    assert.equal(3, first.n)
    assert.same({ nil, { 1 }, nil, n = 3 }, first)
    assert.same(first, second)
    assert.are_not.equal(first[2], second[2])
    assert.equal(0, select("#", _thread.start_joinable_thread(function() end):result()))
  end)

  it("raises from result what the thread raised", function()
    quiet(finally)
    local typed = _thread.start_joinable_thread(function()
      error(_thread.ValueError("task failed"))
    end)
    local e = raises(_thread.ValueError, "task failed", typed.result, typed)
    assert.equal("task failed", e.message)
    local plain = _thread.start_joinable_thread(function() error("plain", 0) end)
    local other = _thread.start_joinable_thread(function() error({ code = 7 }) end)
    for _ = 1, 2 do
      assert.same({ false, "plain" }, { pcall(plain.result, plain) })
      assert.same({ false, { code = 7 } }, { pcall(other.result, other) })
    end
    assert.is_true(plain:join())
  end)

  it("says from result what can't be transferred", function()
    local handle = _thread.start_joinable_thread(function() return 1, coroutine.create(print) end)
    raises(_thread.TypeError, "cannot transfer a coroutine (result[2]); "
      .. "send its function and create it there", handle.result, handle)
  end)

  it("is made from an ident", function()
    local go = held()
    local handle = _thread.start_joinable_thread(function() go:acquire() end)
    local made = _thread._make_thread_handle(handle.ident)
    assert.equal(handle, made)
    assert.is_false(made:is_done())
    go:release()
    assert.is_true(made:join())
    local ident = handle.ident
    local late = _thread._make_thread_handle(ident)
    assert.is_true(late:is_done())
    assert.is_true(late:join())
    assert.equal(ident, late.ident)
    raises(_thread.ValueError, "no thread has the ident", _thread._make_thread_handle, -5)
    raises(_thread.ValueError, "no thread has the ident", _thread._make_thread_handle,
      math.maxinteger)
    raises(_thread.TypeError, "expected, got string", _thread._make_thread_handle, "x")
  end)

  it("has nothing to set or to call but its methods", function()
    local handle = _thread._ThreadHandle()
    assert.is_nil(handle.nothing)
    assert.is_false(pcall(function() handle.ident = 5 end))
    assert.equal(0, handle.ident)
    raises(_thread.TypeError, "_ThreadHandle expected", handle.join, {})
    raises(_thread.TypeError, "_ThreadHandle expected", handle.is_done)
    assert.is_true(_thread.isinstance(handle, _thread._ThreadHandle))
  end)
end)
