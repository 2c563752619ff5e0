-- Blocking sections of C modules: spec/support/doors.c waits in them.
local _thread = require "lthread"
local child = require "fixtures.child"
local doors = require "support.doors"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start
local eventually = threads.eventually

setups.alone()
setups.quiet()

local Strike = _thread.Exception:subclass "Strike"
local DOOR <const>, OTHER <const>, THIRD <const> = 1, 2, 3

local function waiting_at(door)
  return eventually(function() return (doors.see(door)) > 0 end)
end

local function wakes_at(door)
  return (select(3, doors.see(door)))
end

-- What stays in a section until it is interrupted, and where.
local places = {
  ["in the main coroutine"] = function(f) return f() end,
  ["in a coroutine"] = function(f)
    local results = table.pack(coroutine.resume(coroutine.create(f)))
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end,
  ["in a wrapped coroutine"] = function(f) return coroutine.wrap(f)() end,
  ["in a coroutine of a coroutine"] = function(f)
    return coroutine.wrap(function() return coroutine.wrap(f)() end)()
  end,
  ["in a protected call"] = function(f)
    local results = table.pack(pcall(f))
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end,
}

-- Has others woken, so that what was to be woken before has been.
local function let_wakes_come()
  for _ = 1, 5 do
    doors.make(THIRD)
    local handle = start(function() doors.wait(THIRD) end)
    assert.is_true(waiting_at(THIRD))
    handle:interrupt(Strike "later")
    threads.ended_by(Strike, handle)
  end
end

describe("a blocking section", function()
  before_each(function()
    doors.make(DOOR)
    doors.make(OTHER)
  end)

  for where, place in pairs(places) do
    it("is woken once by an interrupt, which is raised as it returns: " .. where, function()
      local after = _thread.shared()
      local handle = start(function()
        place(function()
          after.result = doors.wait(DOOR)
          after.came = true
        end)
      end)
      assert.is_true(waiting_at(DOOR))
      assert.is_true(handle:interrupt(Strike "now"))
      assert.equal("now", threads.ended_by(Strike, handle).message)
      assert.equal(1, wakes_at(DOOR))
      assert.is_nil(after.came)
    end)

    it("leaves nothing to be woken behind an error: " .. where, function()
      local handle = start(function()
        doors.open(DOOR)
        assert(not pcall(place, function() doors.fail(DOOR) end))
        doors.be_gone(DOOR)
        doors.stay(OTHER)
      end)
      assert.is_true(waiting_at(OTHER))
      handle:interrupt(Strike "now")
      let_wakes_come()
      doors.open(OTHER)
      threads.ended_by(Strike, handle)
      assert.equal(0, wakes_at(DOOR))
    end)

    it("is not over, when an error leaves it, before its wake is: " .. where, function()
      doors.hold_wakes(DOOR, true)
      local running = _thread.shared()
      local handle = start(function()
        local raised = not pcall(place, function() doors.fail(DOOR) end)
        local _, count = doors.see(DOOR)
        running.raised, running.count = raised, count
      end)
      assert.is_true(waiting_at(DOOR))
      handle:interrupt(Strike "now")
      assert.is_true(eventually(function() return wakes_at(DOOR) == 1 end))
      for _ = 1, 20 do
        assert.is_false(handle:join(0.001))
        assert.is_nil(running.count)
      end
      doors.hold_wakes(DOOR, false)
      assert.is_true(handle:join(threads.LONG))
      assert.is_true(running.count == nil or running.count == 0)
      assert.equal(1, wakes_at(DOOR))
    end)
  end

  it("ends by itself when nobody interrupts it", function()
    local handle = start(function() return doors.wait(DOOR) end)
    assert.is_true(waiting_at(DOOR))
    doors.open(DOOR)
    assert.equal("open", threads.result(handle))
    assert.equal(0, wakes_at(DOOR))
  end)

  it("is woken once, however long it lasts then", function()
    local handle = start(function() doors.insist(DOOR) end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    assert.is_true(eventually(function() return wakes_at(DOOR) > 0 end))
    let_wakes_come()
    doors.open(DOOR)
    threads.ended_by(Strike, handle)
    assert.equal(1, wakes_at(DOOR))
  end)

  it("is not over before a wake that runs is", function()
    doors.hold_wakes(DOOR, true)
    local handle = start(function() doors.wait(DOOR) end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    assert.is_true(eventually(function() return wakes_at(DOOR) == 1 and doors.see(DOOR) == 0 end))
    for _ = 1, 20 do assert.is_false(handle:join(0.001)) end
    doors.hold_wakes(DOOR, false)
    threads.ended_by(Strike, handle)
  end)

  it("is woken in the main thread", function()
    local handle = start(function()
      assert(waiting_at(DOOR))
      _thread.interrupt_main()
    end)
    threads.raises(_thread.KeyboardInterrupt, "", function()
      doors.wait(DOOR)
      return true
    end)
    assert.is_true(handle:join(threads.LONG))
    assert.equal(1, wakes_at(DOOR))
  end)

  it("does not begin where an interrupt is pending", function()
    local seen = _thread.shared()
    local handle = start(function()
      _thread.on_interrupt(function() return true end)
      seen.result = doors.be_asked(DOOR)
    end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    doors.open(DOOR)
    assert.is_true(handle:join(threads.LONG))
    assert.equal("refused", seen.result)
    assert.equal(0, wakes_at(DOOR))
  end)

  it("is not woken in a shield, where an interrupt is held back", function()
    local seen = _thread.shared()
    local handle = start(function()
      _thread.shield(function()
        seen.first = doors.wait(DOOR)
        seen.second = doors.be_asked(DOOR)
      end)
      seen.after = true
    end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    for _ = 1, 20 do assert.is_false(handle:join(0.001)) end
    doors.open(DOOR)
    threads.ended_by(Strike, handle)
    assert.same({ "open", "begun" }, { seen.first, seen.second })
    assert.is_nil(seen.after)
    assert.equal(0, wakes_at(DOOR))
  end)

  it("that a shield holds, in a callback, is woken when the shield is over", function()
    local there, go = held(), held()
    local handle = start(function()
      doors.wait(DOOR, "outer", function()
        _thread.shield(function()
          there:release()
          go:acquire()
          doors.be_gone(OTHER)
        end)
      end)
    end)
    assert.is_true(await(there))
    handle:interrupt(Strike "now")
    go:release()
    threads.ended_by(Strike, handle)
    assert.is_true(wakes_at(DOOR) <= 1)
  end)

  it("is woken where it blocks all signals", function()
    local handle = start(function() doors.deaf(DOOR) end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    threads.ended_by(Strike, handle)
    assert.equal(1, wakes_at(DOOR))
  end)

  it("goes on when an interrupt is raised, and caught, in what it has called", function()
    local lock = held()
    local box = _thread.shared()
    local handle = start(function()
      doors.wait(DOOR, "outer", function()
        box.caught = not pcall(function()
          box.there = true
          lock:acquire()
        end)
        doors.open(DOOR)
      end)
      return "went on"
    end)
    assert.is_true(threads.await_blocked(handle.ident))
    handle:interrupt(Strike "now")
    assert.equal("went on", threads.result(handle))
    assert.is_true(box.there and box.caught)
    assert.is_true(wakes_at(DOOR) <= 1)
  end)

  it("is woken where what blocks is called through Lua", function()
    local handle = start(function() doors.around(DOOR, doors.stay_for_wakes) end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    threads.ended_by(Strike, handle)
    assert.equal(1, wakes_at(DOOR))
  end)

  it("without a wake is ended by a signal", function()
    local seen = _thread.shared()
    local handle = start(function()
      _thread.on_interrupt(function() return true end)
      seen.result = doors.listen(DOOR)
    end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    assert.is_true(handle:join(threads.LONG))
    assert.equal("interrupted", seen.result)
  end)

  it("lies within others, of which the innermost is woken", function()
    local handle = start(function()
      return doors.around(OTHER, function() doors.wait(DOOR) end)
    end)
    assert.is_true(waiting_at(DOOR))
    handle:interrupt(Strike "now")
    threads.ended_by(Strike, handle)
    assert.same({ 1, 0 }, { wakes_at(DOOR), wakes_at(OTHER) })
  end)

  it("is woken after one within it has ended", function()
    local handle = start(function()
      doors.wait(OTHER, "outer", function() doors.wait(DOOR) end)
    end)
    assert.is_true(waiting_at(DOOR))
    doors.open(DOOR)
    assert.is_true(waiting_at(OTHER))
    handle:interrupt(Strike "now")
    threads.ended_by(Strike, handle)
    assert.same({ 0, 1 }, { wakes_at(DOOR), wakes_at(OTHER) })
  end)

  it("that is not ended is over when its C function is", function()
    local there, go = held(), held()
    local handle = start(function()
      doors.forget(DOOR)
      doors.be_gone(DOOR)
      there:release()
      while not go:acquire(false) do end
    end)
    assert.is_true(waiting_at(DOOR))
    doors.open(DOOR)
    assert.is_true(await(there))
    handle:interrupt(Strike "now")
    threads.ended_by(Strike, handle)
    assert.equal(0, wakes_at(DOOR))
  end)

  it("loses no interrupt and gives none twice, whenever they come", function()
    local box = _thread.shared { ready = 0 }
    local ways = {
      function(door) doors.wait(door) end,
      function(door) coroutine.wrap(function() doors.wait(door) end)() end,
      function(door) assert(not coroutine.resume(coroutine.create(doors.fail), door)) end,
      function(door) assert(not pcall(doors.fail, door)) end,
      function(door) doors.around(door, function() doors.wait(door) end) end,
      function(door) _thread.shield(function() doors.wait(door) end) end,
    }
    local function go_through(door)
      local strikes, rounds = 0, 0
      _thread.on_interrupt(function() strikes = strikes + 1 end)
      doors.make(door)
      doors.open(door)
      _thread.add(box, "ready", 1)
      repeat
        rounds = rounds + 1
        ways[rounds % #ways + 1](door)
      until box.done
      return strikes
    end
    local handles = { start(go_through, DOOR), start(go_through, OTHER) }
    assert.is_true(eventually(function() return box.ready == 2 end))
    for i = 1, 2000 do assert.is_true(handles[i % 2 + 1]:interrupt(Strike(tostring(i)))) end
    box.done = true
    assert.same({ 1000, 1000 }, { threads.result(handles[1]), threads.result(handles[2]) })
  end)

  it("left in a coroutine that is collected is over", function()
    local done = start(function()
      doors.open(DOOR)
      for _ = 1, 100 do
        assert(not coroutine.resume(coroutine.create(doors.fail), DOOR))
      end
      collectgarbage()
      collectgarbage()
      return doors.wait(DOOR)
    end)
    assert.equal("open", threads.result(done))
  end)

  it("is told by dumps, with how long it lasts", function()
    local handle = start(function() return doors.wait(DOOR, "sqlite3_step") end)
    assert.is_true(waiting_at(DOOR))
    local text = ""
    _thread.dump_traceback { write = function(_, more) text = text .. more end }
    doors.open(DOOR)
    local part = threads.part_of_dump(text, handle.ident)
    assert.matches("^Thread .*, in sqlite3_step for %d+%.%d+ s:\n"
      .. "\t[^\n]*section_spec%.lua:%d+: in %?\n", part)
    assert.equal("open", threads.result(handle))
  end)

  for where, wait in pairs {
    ["in the main coroutine"] = "doors.wait(1)",
    ["in another one"] = "coroutine.wrap(doors.wait)(1)",
  } do
    it("is woken as the runtime ends: " .. where, function()
      local text = child(([[
        local _thread, doors = require "lthread", require "support.doors"
        _thread.start_new_thread(function()
          local _ <close> = setmetatable({}, { __close = function()
            io.write(select(3, doors.see(1)), " wakes\n")
          end })
          %s
        end, {})
        while doors.see(1) == 0 do _thread.sleep(0.001) end
      ]]):format(wait))
      assert.equal("1 wakes\nstatus 0\n", text)
    end)
  end

  it("is none where lthread is not there", function()
    local text = child [[
        local doors = require "support.doors"
        doors.open(1)
        print(doors.wait(1), pcall(doors.fail, 1))
      ]]
    assert.equal("open\tfalse\tleft\nstatus 0\n", text)
  end)

  it("is nothing in a state that is being closed", function()
    local text = child [[
        local doors = require "support.doors"
        last = setmetatable({}, { __gc = function() print(doors.wait(1)) end })
        require "lthread"
        doors.open(1)
      ]]
    assert.equal("open\nstatus 0\n", text)
  end)
end)
