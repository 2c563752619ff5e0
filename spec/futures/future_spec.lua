local _thread = require "lthread"
local futures = require "lthread.futures"
local queue = require "lthread.queue"
local threads = require "support.threads"
local raised = require "support.raised"
local child = require "fixtures.child"

local start = threads.start

describe("a Future", function()
  local future

  before_each(function() future = futures.Future() end)

  it("is pending, then running, then has a result, another copy each time", function()
    assert.is_false(future:done())
    assert.is_false(future:running())
    assert.matches("^<Future at .*: pending>$", tostring(future))
    assert.is_true(future:set_running_or_notify_cancel())
    assert.is_true(future:running())
    future:set_result({ 1 }, nil, "x")
    assert.is_true(future:done())
    assert.is_false(future:running())
    local first, gap, word = future:result()
    assert.same({ 1 }, first)
    assert.is_nil(gap)
    assert.equal("x", word)
    assert.not_equal(first, (future:result()))
    assert.is_false(future:exception())
    assert.is_nil(future:traceback())
  end)

  it("may have no result, and an error that is any value", function()
    future:set_result()
    assert.equal(0, select("#", future:result()))
    for _, value in ipairs { "text", 42, true, { code = 1 } } do
      local failed = futures.Future()
      failed:set_exception(value)
      local ok, e = pcall(failed.result, failed)
      assert.is_false(ok)
      assert.same(value, e)
      assert.same(value, failed:exception())
    end
    local failed = futures.Future()
    failed:set_exception(_thread.ValueError "no")
    assert.equal("no", raised(_thread.ValueError, failed.result, failed).message)
  end)

  it("is completed once", function()
    future:set_result(1)
    raised(futures.InvalidStateError, future.set_result, future, 2)
    raised(futures.InvalidStateError, future.set_exception, future, 2)
    raised(futures.InvalidStateError, future.set_running_or_notify_cancel, future)
    assert.is_false(future:cancel())
    assert.equal(1, (future:result()))
  end)

  it("is cancelled as long as it is pending, which tells who waits", function()
    local waiter = start(function() return future:result() end)
    assert.is_true(threads.await_blocked(waiter.ident))
    threads.quiet(finally)
    assert.is_true(future:cancel())
    assert.is_true(future:cancel())
    assert.is_true(future:cancelled())
    assert.is_true(future:done())
    threads.ended_by(futures.CancelledError, waiter)
    raised(futures.CancelledError, future.exception, future)
    assert.is_false(future:set_running_or_notify_cancel())
    raised(futures.InvalidStateError, future.set_running_or_notify_cancel, future)
    local running = futures.Future()
    running:set_running_or_notify_cancel()
    assert.is_false(running:cancel())
  end)

  it("is waited for as long as the timeout says", function()
    raised(futures.TimeoutError, future.result, future, 0.01)
    raised(_thread.TimeoutError, future.exception, future, { timeout = 0 })
    raised(_thread.TypeError, future.result, future, "soon")
    local waiter = start(function() return future:result(threads.LONG) end)
    assert.is_true(threads.await_blocked(waiter.ident))
    future:set_result "here"
    assert.equal("here", (threads.result(waiter)))
  end)

  it("is the same one everywhere, and may be stored and sent", function()
    local box = _thread.shared { future = future }
    assert.equal(future, box.future)
    local waiter = start(function(f) return f, box.future == f, f:result() end, future)
    future:set_result(3)
    local same, equal, result = waiter:result()
    assert.equal(future, same)
    assert.is_true(equal)
    assert.equal(3, result)
  end)

  it("tells a waiting thread of an interrupt, and goes on", function()
    local waiter = start(function() return future:result() end)
    assert.is_true(threads.await_blocked(waiter.ident))
    threads.quiet(finally)
    waiter:interrupt(_thread.ValueError)
    threads.ended_by(_thread.ValueError, waiter)
    future:set_result(1)
    assert.equal(1, (future:result()))
  end)

  it("shows in a dump who waits for it", function()
    local waiter = start(function() return future:result() end)
    assert.is_true(threads.await_blocked(waiter.ident))
    local text = ""
    _thread.dump_traceback { write = function(_, more) text = text .. more end }
    assert.matches("blocked on Future", text)
    future:set_result()
    waiter:join()
  end)

  it("refuses a result that can't cross, and stays as it was", function()
    raised(_thread.TypeError, future.set_result, future, coroutine.create(print))
    assert.is_false(future:done())
  end)
end)

describe("the callbacks of a Future", function()
  it("are called with it, each once, in the order in which they came", function()
    local future, box = futures.Future(), _thread.shared { list = {} }
    for i = 1, 3 do
      future:add_done_callback(function(f)
        box.list[#box.list + 1] = i .. f:result()
      end)
    end
    future:set_result "x"
    future:add_done_callback(function() box.list[#box.list + 1] = "late" end)
    assert.same({ "1x", "2x", "3x", "late" }, _thread.copy(box.list))
  end)

  it("are called for a cancelled one too, and after one that fails", function()
    local future, box = futures.Future(), _thread.shared { calls = 0, errors = 0 }
    _thread.set_excepthook(function(args)
      if tostring(args.exc_value):find "bad" then _thread.add(box, "errors", 1) end
    end)
    finally(function() _thread.set_excepthook(nil) end)
    future:add_done_callback(function() error "bad" end)
    future:add_done_callback(function(f) if f:cancelled() then _thread.add(box, "calls", 1) end end)
    future:cancel()
    assert.equal(1, box.calls)
    assert.equal(1, box.errors)
  end)

  it("are copies, made when they are added", function()
    local future, box, count = futures.Future(), _thread.shared {}, 1
    future:add_done_callback(function() box.count = count end)
    count = 2 -- luacheck: ignore
    future:set_result()
    assert.equal(1, box.count)
    raised(_thread.TypeError, future.add_done_callback, future, 1)
  end)

  it("run once each where threads complete, cancel and add at the same time", function()
    local ROUNDS <const> = 200
    for _ = 1, ROUNDS do
      local future, box = futures.Future(), _thread.shared { calls = 0 }
      local function add() future:add_done_callback(function() _thread.add(box, "calls", 1) end) end
      local adder = start(function() for _ = 1, 5 do add() end end)
      local ender = start(function() return future:cancel() end)
      local ok = pcall(future.set_result, future, 1)
      adder:join()
      assert.not_equal(ok, (ender:result()))
      assert.equal(5, box.calls)
    end
  end)
end)

describe("notify of a Future", function()
  it("puts it into a queue when it is done, with the tag", function()
    local future, done = futures.Future(), queue.SimpleQueue()
    future:notify(done, { "tag" })
    future:notify(done)
    assert.is_true(done:empty())
    future:set_result(1)
    future:notify(done, "late")
    local list = done:get_many { timeout = 0 }
    assert.equal(3, list.n)
    assert.equal(future, list[1][1])
    assert.same({ "tag" }, list[1][2])
    assert.is_nil(list[2][2])
    assert.equal("late", list[3][2])
    raised(_thread.TypeError, future.notify, future, _thread.Event())
  end)
end)

describe("futures that refer to each other", function()
  it("are collected", function()
    local output = child [[
      local _thread, futures = require "lthread", require "lthread.futures"
      local one, two = futures.Future(), futures.Future()
      one:set_result(two)
      two:add_done_callback(function() return one end)
      one, two = nil, nil
      collectgarbage() collectgarbage()
      print(_thread.collect().freed)
    ]]
    assert.matches("^[2-9]\nstatus 0", output)
  end)
end)
