local _thread = require "lthread"
local threads = require "support.threads"
local start = threads.start

describe("an Event", function()
  local event

  before_each(function()
    event = _thread.Event()
  end)

  -- So many threads that wait for the event, blocked by now.
  local function waiters(count, timeout)
    local handles = {}
    for i = 1, count do
      handles[i] = start(function() return event:wait(timeout) end)
    end
    for i = 1, count do
      assert.is_true(threads.await_blocked(handles[i].ident))
    end
    return handles
  end

  it("is of the class that makes it, and takes no arguments", function()
    assert.is_true(_thread.isinstance(event, _thread.Event))
    assert.is_false(_thread.isinstance(event, _thread.LockType))
    threads.raises(_thread.TypeError, "Event", _thread.Event, 1)
    threads.raises(_thread.TypeError, "_thread.Event expected", event.set, _thread.allocate_lock())
  end)

  it("is set and cleared, any number of times", function()
    assert.is_false(event:is_set())
    event:set()
    event:set()
    assert.is_true(event:is_set())
    event:clear()
    event:clear()
    assert.is_false(event:is_set())
  end)

  it("shows what it is", function()
    assert.matches("^<_thread.Event object at .*: unset>$", tostring(event))
    event:set()
    assert.matches("^<_thread.Event object at .*: set>$", tostring(event))
  end)

  it("that is set keeps nobody waiting", function()
    event:set()
    assert.is_true(event:wait())
    assert.is_true(event:wait(0))
    assert.is_true(event:wait { timeout = 0.5 })
    assert.is_true(event:is_set())
  end)

  it("is waited for as long as the timeout says", function()
    assert.is_false(event:wait(0))
    assert.is_false(event:wait(-1))
    local begin = _thread.monotonic()
    assert.is_false(event:wait(0.02))
    assert.is_true(_thread.monotonic() - begin >= 0.02)
    assert.is_false(event:wait { timeout = 0.001 })
  end)

  it("refuses what is no timeout", function()
    threads.raises(_thread.TypeError, "number expected", event.wait, event, "x")
    threads.raises(_thread.ValueError, "", event.wait, event, 0 / 0)
    threads.raises(_thread.OverflowError, "", event.wait, event, 1e300)
    threads.raises(_thread.TypeError, "until", event.wait, event, { ["until"] = 1 })
  end)

  it("lets all who wait go on", function()
    local handles = waiters(5)
    event:set()
    for _, handle in ipairs(handles) do
      assert.is_true(threads.result(handle))
    end
  end)

  -- More than are woken in one go.
  it("lets a crowd go on, and leaves nobody behind", function()
    local handles = waiters(150)
    event:set()
    event:clear()
    for _, handle in ipairs(handles) do
      assert.is_true(threads.result(handle))
    end
    assert.is_false(event:wait(0))
  end)

  it("lets those go on who waited, even if it is cleared before they see it", function()
    for _ = 1, 20 do
      local handles = waiters(3, threads.LONG)
      event:set()
      event:clear()
      for _, handle in ipairs(handles) do
        assert.is_true(threads.result(handle))
      end
    end
  end)

  it("is the same one in every thread", function()
    event:set()
    local same, other = threads.call(function()
      return event, event:is_set()
    end)
    assert.equal(event, same)
    assert.is_true(other)
    threads.call(function() event:clear() end)
    assert.is_false(event:is_set())
    local shared = _thread.shared { event = event }
    assert.equal(event, shared.event)
  end)

  it("orders what was done before it was set", function()
    local one, other = _thread.Event(), _thread.Event()
    local box = _thread.shared {}
    local handle = start(function()
      for i = 1, 2000 do
        one:wait()
        one:clear()
        if box.turn ~= i then return false end
        other:set()
      end
      return true
    end)
    for i = 1, 2000 do
      box.turn = i
      one:set()
      if not other:wait(threads.LONG) then break end
      other:clear()
    end
    assert.is_true(threads.result(handle))
  end)

  it("is told of in a dump", function()
    local handle = waiters(1)[1]
    local text = ""
    _thread.dump_traceback { write = function(_, more) text = text .. more end }
    local part = threads.part_of_dump(text, handle.ident)
    local address = tostring(event):match "at (%S+):"
    assert.truthy(part:find("blocked on Event " .. address .. " for ", 1, true), part)
    event:set()
    threads.result(handle)
  end)

  it("is waited for until an interrupt comes", function()
    threads.quiet(finally)
    local handle, other = table.unpack(waiters(2))
    handle:interrupt(_thread.ValueError)
    threads.ended_by(_thread.ValueError, handle)
    event:set()
    assert.is_true(threads.result(other))
  end)

  it("leaves nobody behind, however others leave at that moment", function()
    threads.quiet(finally)
    for round = 1, 50 do
      event = _thread.Event()
      local patient, struck = start(event.wait, event), start(event.wait, event)
      local hasty = start(function()
        while not event:wait(0.0001) do end
        return true
      end)
      if round % 2 == 0 then threads.await_blocked(struck.ident) end
      struck:interrupt(_thread.ValueError)
      event:set()
      event:clear()
      assert.is_true(struck:join(threads.LONG))
      event:set()
      assert.is_true(threads.result(patient))
      assert.is_true(threads.result(hasty))
    end
  end)

  it("is waited for by a thread that the end of the script wakes", function()
    local child = require "fixtures.child"
    local output = child [[
      local _thread = require "lthread"
      local event, there = _thread.Event(), _thread.Event()
      _thread.start_new_thread(function()
        local _ <close> = setmetatable({}, { __close = function(_, e)
          print(_thread.isinstance(e, _thread.SystemExit))
        end })
        there:set()
        event:wait()
      end, {})
      there:wait()
    ]]
    assert.matches("true\nstatus 0\n$", output)
  end)

  it("that is set can be waited for while its state is being closed", function()
    local child = require "fixtures.child"
    local output = child [[
      local event = require "lthread".Event()
      event:set()
      setmetatable({}, { __gc = function() print(event:wait(), event:is_set()) end })
    ]]
    assert.matches("true\ttrue\nstatus 0\n$", output)
  end)
end)
