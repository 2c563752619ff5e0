-- Hooks that scripts set with debug.sethook, while threads are interrupted and dumped.
local _thread = require "lthread"
local raised = require "support.raised"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start

setups.alone()
setups.quiet()

-- What a hook may be set for: mask and count.
local kinds = {
  calls = { "c", 0 },
  returns = { "r", 0 },
  lines = { "l", 0 },
  ["every instruction"] = { "", 1 },
  ["every hundredth instruction"] = { "", 100 },
  ["everything"] = { "crl", 1000 },
}

-- debug.gethook with the flags of the mask in one order.
local function hook_of(co)
  local hook, mask, count
  if co then hook, mask, count = debug.gethook(co) else hook, mask, count = debug.gethook() end
  local flags = {}
  for flag in mask:gmatch "." do flags[#flags + 1] = flag end
  table.sort(flags)
  return hook, table.concat(flags), count
end

-- Sets the hook, lets 'act' happen, and tells whether the hook is the same, and is still called.
local function keeps_hook(kind, act)
  local calls = 0
  local function hook() calls = calls + 1 end
  debug.sethook(hook, kind[1], kind[2])
  local before = table.pack(hook_of())
  act()
  local after = table.pack(hook_of())
  local called = calls
  for _ = 1, 200 do
    math.abs(1)
  end
  local goes_on = calls > called
  debug.sethook()
  return before[1] == hook and after[1] == hook and before[2] == after[2]
    and before[3] == after[3] and goes_on
end

-- Where the hook is set: in the main thread, in a thread, in a coroutine of either.
local places = {
  ["the main thread"] = function(f) return f() end,
  ["a thread"] = function(f) return threads.result(start(f)) end,
  ["a coroutine"] = function(f) return coroutine.wrap(f)() end,
  ["a coroutine of a thread"] = function(f)
    return threads.result(start(function() return coroutine.wrap(f)() end))
  end,
}

local acts = {
  ["an interrupt of a loop"] = function()
    local me, there = _thread.get_ident(), held()
    local other = start(function() there:acquire() _thread.interrupt(me, _thread.ValueError) end)
    local ok, e = pcall(function() there:release() while true do end end)
    assert(not ok and e.__class__ == _thread.ValueError, e)
    other:join()
  end,
  ["an interrupt of a wait"] = function()
    local me, never = _thread.get_ident(), held()
    local other = start(function()
      threads.await_blocked(me)
      _thread.interrupt(me, _thread.ValueError)
    end)
    local ok, e = pcall(never.acquire, never)
    assert(not ok and e.__class__ == _thread.ValueError, e)
    other:join()
  end,
  ["an interrupt by itself"] = function()
    local ok = pcall(function()
      _thread.interrupt(_thread.get_ident(), _thread.ValueError)
      while true do end
    end)
    assert(not ok)
  end,
  ["a dump of a loop"] = function()
    local dumped = held()
    local other = start(function()
      for _ = 1, 10 do _thread.dump_traceback { write = function() end } end
      dumped:release()
    end)
    while not dumped:acquire(false) do end
    other:join()
  end,
  ["a dump of a wait"] = function()
    local me, lock = _thread.get_ident(), held()
    start(function()
      threads.await_blocked(me)
      for _ = 1, 10 do _thread.dump_traceback { write = function() end } end
      lock:release()
    end)
    lock:acquire()
  end,
  ["an interrupt that waits for a handler"] = function()
    local me, there, go = _thread.get_ident(), held(), held()
    local other = start(function()
      there:acquire()
      _thread.interrupt(me, _thread.ValueError)
      go:release()
    end)
    local ok = pcall(function()
      do
        local _ <close> = setmetatable({}, { __close = function()
          there:release()
          while not go:acquire(false) do end
          for _ = 1, 10000 do end
        end })
      end
      while true do end
    end)
    assert(not ok)
    other:join()
  end,
  ["a hundred interrupts"] = function()
    local me, there = _thread.get_ident(), held()
    local other = start(function()
      for _ = 1, 100 do
        there:acquire()
        _thread.interrupt(me, _thread.ValueError)
      end
    end)
    for _ = 1, 100 do
      pcall(function() there:release() while true do end end)
    end
    other:join()
  end,
}

for what, kind in pairs(kinds) do
  for where, place in pairs(places) do
    describe("a hook for " .. what .. " in " .. where, function()
      for event, act in pairs(acts) do
        it("stays after " .. event, function()
          assert.is_true(place(function() return keeps_hook(kind, act) end))
        end)
      end
    end)
  end
end

describe("a hook", function()
  it("of another coroutine than the one that is interrupted stays", function()
    local there = held()
    local handle = start(function()
      local hook = function() end
      local co = coroutine.create(function() coroutine.yield() end)
      debug.sethook(co, hook, "crl", 7)
      coroutine.resume(co)
      pcall(function() there:release() while true do end end)
      local set, mask, count = debug.gethook(co)
      return set == hook, #mask, count, debug.gethook() == nil
    end)
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    assert.same({ true, 3, 7, true }, { threads.result(handle) })
  end)

  it("is none after an interrupt if there was none, in old and new coroutines", function()
    local there = held()
    local handle = start(function()
      local old = coroutine.create(function() coroutine.yield() end)
      coroutine.resume(old)
      local new
      pcall(function()
        new = coroutine.create(function() there:release() while true do end end)
        assert(coroutine.resume(new))
      end)
      return debug.gethook(old) == nil, debug.gethook(new) == nil, debug.gethook() == nil,
        debug.gethook(coroutine.create(print)) == nil
    end)
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    assert.same({ true, true, true, true }, { threads.result(handle) })
  end)

  it("sees each line as often when dumps strike, as a coverage tool does", function()
    local function work(count)
      local total = 0
      for i = 1, count do
        total = total + i
        total = total - 1
      end
      return total
    end
    local first = debug.getinfo(work, "S").linedefined
    local last = debug.getinfo(work, "S").lastlinedefined
    local function covered(during)
      local lines = {}
      debug.sethook(function(_, line)
        local source = debug.getinfo(2, "S").short_src
        if source:find("hook_spec", 1, true) and line >= first and line <= last then
          lines[line - first] = (lines[line - first] or 0) + 1
        end
      end, "l")
      work(during)
      debug.sethook()
      return lines
    end
    local dumper_ends = held()
    local quiet = covered(20000)
    local handle = start(function() return covered(20000) end)
    local dumper = start(function()
      while dumper_ends:locked() do _thread.dump_traceback { write = function() end } end
    end)
    local lines = handle:result()
    dumper_ends:release()
    dumper:join()
    assert.equal(20000, lines[3])
    assert.same(quiet, lines)
  end)

  it("is not called for what the library does while it waits", function()
    local seen = {}
    local lock = held()
    local handle = start(function() threads.await_blocked() lock:release() end)
    debug.sethook(function(event)
      local info = debug.getinfo(2, "S")
      seen[#seen + 1] = event .. " " .. info.short_src
    end, "crl", 1)
    lock:acquire()
    debug.sethook()
    handle:join()
    for _, event in ipairs(seen) do
      assert.falsy(event:find("(signal)", 1, true), event)
    end
  end)

  it("is not called either in a coroutine", function()
    local seen = {}
    local lock = held()
    local handle = start(function() threads.await_blocked() lock:release() end)
    debug.sethook(function() seen[#seen + 1] = debug.getinfo(2, "S").short_src end, "crl")
    coroutine.wrap(function() lock:acquire() end)()
    debug.sethook()
    handle:join()
    for _, source in ipairs(seen) do
      assert.is_not.equal("(signal)", source)
    end
  end)

  it("that raises ends a loop, and an interrupt comes after it", function()
    local there = held()
    local handle = start(function()
      local ok, e = pcall(function()
        debug.sethook(function() debug.sethook() error "by the hook" end, "", 10000)
        while true do end
      end)
      local _, caught = pcall(function() there:release() while true do end end)
      return ok, e, caught
    end)
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError("by another"))
    local ok, e, caught = handle:result()
    assert.is_false(ok)
    assert.truthy(e:find("by the hook", 1, true), e)
    assert.equal("by another", caught.message)
  end)

  it("that is replaced in a hook stays replaced", function()
    local there = held()
    local handle = start(function()
      local other = function() end
      pcall(function()
        debug.sethook(other, "c")
        there:release()
        while true do debug.sethook(other, "c") end
      end)
      return debug.gethook() == other
    end)
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    assert.is_true(handle:join(threads.LONG))
    assert.is_true(handle:result())
  end)

  it("that a handler takes away does not take the interrupt away that waits for it", function()
    local there, go = held(), held()
    local handle = start(function()
      do
        local _ <close> = setmetatable({}, { __close = function()
          there:release()
          while not go:acquire(false) do end
          debug.sethook()
        end })
      end
      while true do end
    end)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.ValueError))
    go:release()
    assert.is_true(handle:join(threads.LONG), "still running")
    raised(_thread.ValueError, handle.result, handle)
  end)

  it("that a script takes away does not take an interrupt away", function()
    local there = held()
    local handle = start(function()
      there:release()
      while true do debug.sethook() end
    end)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.ValueError))
    assert.is_true(handle:join(threads.LONG), "still running")
    raised(_thread.ValueError, handle.result, handle)
  end)
end)
