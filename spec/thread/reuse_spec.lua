-- An OS thread that has run a function runs the next thread's: nothing of the one is seen by the
-- other.
local _thread = require "lthread"
local child = require "fixtures.child"
local leavings = require "support.leavings" ()
local reuse = require "support.reuse"
local fingerprint = require "support.fingerprint"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start, call = threads.held, threads.await, threads.start, threads.call

setups.alone()
setups.quiet()

describe("a thread on an OS thread that another one has used does not see", function()
  for _, each in ipairs(leavings) do
    it(each.name, function()
      local leave, look = each.leave, each.look
      local before = table.pack(call(look))
      -- The one that leaves it sees it, so this looks at the right thing.
      local seen = table.pack(call(function()
        leave()
        return look()
      end))
      assert.are_not.same(before, seen)
      assert.same(before, table.pack(reuse.after(leave, look)))
    end)
  end
end)

-- The same line may be there for several values.
local function differences(expected, found)
  local counts, different = {}, {}
  for line in expected:gmatch "[^\n]+" do counts[line] = (counts[line] or 0) + 1 end
  for line in found:gmatch "[^\n]+" do counts[line] = (counts[line] or 0) - 1 end
  for line, count in pairs(counts) do
    if count < 0 then different[#different + 1] = "new: " .. line end
    if count > 0 then different[#different + 1] = "lost: " .. line end
  end
  return different
end

describe("threads that leave all kinds of things behind", function()
  it("find a fresh state each, two hundred of them on used OS threads", function()
    local function task(number)
      local found, random = fingerprint(), math.random(0)
      local each = leavings[number % #leavings + 1]
      each.leave()
      return found, random, _thread.get_native_id()
    end
    local fresh
    local sequences, used, reused, number = {}, {}, 0, 0
    -- Nobody else has such stacks, so the first of them are on new OS threads.
    reuse.with_stacks_of(1024 * 1024 + 8192, function()
      assert.is_true(threads.eventually(function()
        local found, random, native_id = call(task, number)
        fresh = fresh or found
        assert.same({}, differences(fresh, found))
        assert.is_nil(sequences[random])
        sequences[random] = true
        reused = reused + (used[native_id] and 1 or 0)
        used[native_id] = true
        number = number + 1
        return reused == 200
      end))
    end)
  end)
end)

describe("on an OS thread that another one has used", function()
  local ends = {
    ["by an error"] = function() error "left" end,
    ["by an exception"] = function() error(_thread.ValueError "left") end,
    ["by exit"] = function() _thread.exit() end,
    ["by an error that can't be transferred"] = function() error(coroutine.create(print)) end,
    ["by a deep recursion"] = function()
      local function deep() return 1 + deep() end
      deep()
    end,
    ["by too many C calls"] = function()
      local function deep() return (("x"):gsub("x", deep)) end
      deep()
    end,
    ["by want of memory"] = function() return ("x"):rep(1 << 46) end,
    ["by an error in a finalizer"] = function()
      setmetatable({}, { __gc = function() error "left" end })
    end,
    ["by an error in a __close handler"] = function()
      local _ <close> = setmetatable({}, { __close = function() error "left" end })
    end,
    ["in a coroutine of a coroutine"] = function()
      coroutine.wrap(function() coroutine.wrap(function() error "left" end)() end)()
    end,
  }

  for how, ending in pairs(ends) do
    it("a thread is whole after one that ended " .. how, function()
      local function later(depth)
        local function nest(n)
          return n == 0 and debug.traceback() or select(2, pcall(nest, n - 1))
        end
        local co = coroutine.wrap(function() return coroutine.yield() end)
        co()
        local text = nest(depth)
        return co(#text > 0), select(2, pcall(error, "mine", 0)), text
      end
      local _, second = reuse.both(ending, later, 150)
      local alive, mine, text = second:result()
      assert.is_true(alive)
      assert.equal("mine", mine)
      assert.falsy(text:find("left", 1, true), text)
    end)
  end

  it("handlers and finalizers of the earlier one have run when the later one begins", function()
    local events = _thread.shared { count = 0 }
    local function note(what)
      events[_thread.add(events, "count", 1)] = what
    end
    local function earlier()
      events.count = 0
      rawset(_G, "lt_left", setmetatable({}, { __gc = function() note "collected" end }))
      local _ <close> = setmetatable({}, { __close = function()
        for _ = 1, 10000 do end
        note "closed"
      end })
      note "ended"
    end
    for _ = 1, 20 do
      reuse.after(earlier, note, "later")
      assert.same({ "ended", "closed", "collected", "later" }, { table.unpack(events, 1, 4) })
    end
  end)

  -- One is raised, and ends the thread; the others are pending then.
  it("interrupts that were pending do not come to the later one", function()
    local there, go = held(), held()
    local striker = start(function()
      while await(there) do
        for _, info in ipairs(_thread.enumerate()) do
          if info.name == "struck" then
            for i = 1, 5 do _thread.interrupt(info.ident, _thread.ValueError(i)) end
          end
        end
        go:release()
      end
    end)
    local function earlier()
      _thread.set_name "struck"
      local _ <close> = setmetatable({}, { __close = function()
        there:release()
        go:acquire()
      end })
    end
    local function later()
      local sum = 0
      for i = 1, 10000 do sum = sum + i end
      return sum, held():acquire(true, 0.001)
    end
    for _ = 1, 20 do
      local first, second = reuse.both(earlier, later)
      assert.equal(1, select(2, pcall(first.result, first)).args[1])
      assert.same({ 50005000, false }, { second:result() })
    end
    striker:interrupt()
    assert.is_true(striker:join(threads.LONG))
  end)

  -- They may come before, in the middle of it, or when it has ended.
  it("interrupts that strike as the earlier one ends do not come to the later one", function()
    local function earlier() end
    local function later()
      local sum = 0
      for i = 1, 1000 do sum = sum + i end
      return sum, _thread.get_native_id()
    end
    local used, reused, round = {}, 0, 0
    assert.is_true(threads.eventually(function()
      round = round + 1
      local first = start(earlier)
      for _ = 1, round % 40 * 20 do end
      first:interrupt(_thread.ValueError(round))
      assert.is_true(first:join(threads.LONG))
      local sum, native_id = call(later)
      assert.equal(500500, sum)
      reused = reused + (used[native_id] and 1 or 0)
      used[native_id] = true
      return reused == 200
    end))
  end)

  it("a thread is interrupted itself, and not the one before", function()
    local there = held()
    local function later()
      there:release()
      while true do end
    end
    assert.is_true(threads.eventually(function()
      local first = start(_thread.get_native_id)
      local one = first:result()
      local second = start(later)
      assert.is_true(await(there))
      local other = threads.info_of(second.ident).native_id
      assert.is_false(first:interrupt(_thread.TypeError))
      assert.is_true(second:interrupt(_thread.ValueError))
      assert.is_true(second:join(threads.LONG))
      assert.is_true(_thread.isinstance(select(2, pcall(second.result, second)),
        _thread.ValueError))
      return one == other
    end))
  end)

  it("random numbers are others, also after a seed", function()
    local function draw() return math.random(0), math.random(0) end
    local first, second = reuse.both(function()
      math.randomseed(42)
      return draw()
    end, draw)
    math.randomseed(42)
    local known = table.pack(draw())
    math.randomseed()
    assert.same(known, table.pack(first:result()))
    local drawn = { second:result() }
    math.randomseed(42)
    for _ = 1, 10 do
      local one = math.random(0)
      assert.are_not.equal(one, drawn[1])
      assert.are_not.equal(one, drawn[2])
    end
    math.randomseed()
  end)

  it("the later one inherits what its starter has by then", function()
    local path = package.path
    finally(function()
      package.path = path
      package.preload.lt_left = nil
    end)
    local function look() return package.path, package.preload.lt_left ~= nil end
    local function look_and_tell() return _thread.get_native_id(), look() end
    assert.is_true(threads.eventually(function()
      package.path = "first/?.lua;" .. path
      package.preload.lt_left = function() return {} end
      local one, inherited, preloaded = call(look_and_tell)
      package.path = path
      package.preload.lt_left = nil
      local other, later_inherited, later_preloaded = call(look_and_tell)
      assert.same({ "first/?.lua;" .. path, true }, { inherited, preloaded })
      assert.same({ path, false }, { later_inherited, later_preloaded })
      return one == other
    end))
  end)

  it("warnings are off again", function()
    local text = child [[
      local reuse = require "support.reuse"
      reuse.after(function() warn "@on" warn "first" end, function() warn "later" end)
      io.stderr:write "end\n"
    ]]
    assert.truthy(text:find("Lua warning: first\n", 1, true), text)
    assert.falsy(text:find("later", 1, true), text)
    assert.truthy(text:find("end\nstatus 0\n$"), text)
  end)

  it("a thread with a larger stack is not", function()
    local native_ids = {}
    local before = _thread.stack_size()
    finally(function() _thread.stack_size(before) end)
    for i = 1, 40 do
      local size = i % 2 == 0 and 65536 or 4 * 1024 * 1024
      _thread.stack_size(size)
      local native_id = call(_thread.get_native_id)
      assert.is_true((native_ids[native_id] or size) == size)
      native_ids[native_id] = size
    end
  end)
end)
