-- What finalizers find and make while their state is being closed, when Lua finalizes nothing new.
local _thread = require "lthread"
local child = require "fixtures.child"
local queue = require "lthread.queue"
local setups = require "support.setups"
local threads = require "support.threads"

setups.alone()
setups.quiet()

-- Runs f(...) in a finalizer at the end of a thread; returns what it returns.
local function at_the_end(f, ...)
  local results = queue.SimpleQueue()
  local thread = threads.start(function(...)
    local arguments = table.pack(...)
    rawset(_G, "lt_last", setmetatable({}, { __gc = function()
      results:put(table.pack(pcall(f, table.unpack(arguments, 1, arguments.n))))
    end }))
  end, ...)
  assert(thread:join(threads.LONG))
  local found = results:get(true, threads.LONG)
  assert(found[1], found[2])
  return table.unpack(found, 2, found.n)
end

local function objects()
  collectgarbage()
  collectgarbage()
  local collected = _thread.collect()
  return collected.objects - collected.freed
end

describe("A finalizer at the end of a thread", function()
  local makings = {
    ["reads shared tables in shared tables"] = function(shared)
      return #shared.sub.list
    end,
    ["makes shared tables and queues"] = function()
      local made = _thread.shared { sub = { list = { 1, 2 } } }
      made.queue = require "lthread.queue".Queue()
      made.queue:put { 1, 2 }
      return #made.queue:get()
    end,
    ["makes a cycle of shared tables"] = function()
      local made = _thread.shared { sub = {} }
      made.sub.up = made
      return #{ made.sub.up.sub, made }
    end,
    ["gets a function out of a shared table"] = function(shared)
      return shared.f() + (shared.f == shared.f and 1 or 0)
    end,
    ["uses a _local"] = function()
      local object = _thread._local()
      object.value = 2
      return object.value
    end,
    ["makes an exception of a class of its own"] = function()
      return #_thread.ValueError:subclass "Mine"("xx").message
    end,
    ["starts a thread"] = function()
      return _thread.start_joinable_thread(function() return 2 end):result()
    end,
  }

  for what, make in pairs(makings) do
    it(what .. " and leaves nothing", function()
      local shared = _thread.shared { sub = { list = { 1, 2 } }, f = function() return 1 end }
      assert.equal(2, at_the_end(make, shared))
      local before, bytes = objects(), _thread.shared_memory()
      for _ = 1, 20 do
        assert.equal(2, at_the_end(make, shared))
      end
      assert.is_true(threads.eventually(function()
        return objects() <= before and _thread.shared_memory() <= bytes
      end), ("%d objects more, %d bytes"):format(objects() - before,
        _thread.shared_memory() - bytes))
    end)
  end

  it("makes a lock that works", function()
    for _ = 1, 50 do
      assert.same({ true, true, false }, { at_the_end(function()
        local lock = _thread.allocate_lock()
        return lock:acquire(), lock:locked(), lock:acquire(false)
      end) })
    end
  end)

  -- They are finalized in the reverse order of their making.
  it("uses objects that are younger than what it finalizes", function()
    local result = _thread.shared()
    threads.start(function()
      local lock, list, channel
      rawset(_G, "lt_last", setmetatable({}, { __gc = function()
        result.locked = lock:acquire(false) and lock:locked()
        channel:put(list)
        result.same = channel:get() == list
      end }))
      lock, list, channel = _thread.RLock(), _thread.shared(), queue.Queue()
      result.lock, result.list = lock, list
    end):join()
    assert.is_true(result.locked)
    assert.is_true(result.same)
  end)

  it("finds what the thread had as what it is", function()
    local shared = _thread.shared { f = function() end, sub = {} }
    local same = _thread.shared()
    threads.start(function()
      local f, sub, object = shared.f, shared.sub, _thread._local()
      object.value = "its own"
      shared.object = object
      rawset(_G, "lt_last", setmetatable({}, { __gc = function()
        same.f, same.sub = shared.f == f, shared.sub == sub
        same.object, same.value = shared.object == object, shared.object.value
      end }))
    end):join()
    assert.same({ f = true, sub = true, object = true, value = "its own" }, _thread.copy(same))
  end)

  if not os.getenv "LTHREAD_SANITIZER" and io.open "/proc/self/status" then
    it("packs, and the memory for that goes with the state", function()
      local output = child [[
        local _thread = require "lthread"
        local queue = require "lthread.queue"
        local last = queue.SimpleQueue()
        local function megabytes()
          local file <close> = io.open "/proc/self/status"
          return tonumber(file:read("a"):match "VmRSS:%s*(%d+) kB") / 1024
        end
        local function work(last)
          kept = setmetatable({}, { __gc = function() last:put { "bye" } end })
        end
        local function run(count)
          for _ = 1, count do
            _thread.start_joinable_thread(work, { args = { last } }):join()
            assert(last:get()[1] == "bye")
          end
          return megabytes()
        end
        local before = run(500)
        local grown = run(2000) - before
        assert(grown < 8, grown)
        print "level"
      ]]
      assert.equal("level\nstatus 0\n", output)
    end)
  end
end)

describe("A finalizer of the main state", function()
  it("uses objects, and makes them", function()
    local output = child [[
      local _thread = require "lthread"
      local messages, lock
      older = setmetatable({}, { __gc = function()
        messages:put "two"
        print(messages:get(), messages:get(), lock:acquire(), lock:locked())
        print(_thread.allocate_lock():acquire(), #_thread.shared { 1, { 2 } }[2])
      end })
      messages, lock = require "lthread.queue".Queue(), _thread.RLock()
      messages:put "one"
    ]]
    assert.equal("one\ttwo\ttrue\ttrue\ntrue\t1\nstatus 0\n", output)
  end)

  -- It runs when the runtime has ended.
  it("that is older than the library is refused everything", function()
    local output = child [[
      local _thread
      older = setmetatable({}, { __gc = function()
        local makers = { _thread.shared, _thread._local, _thread.RLock, _thread.get_ident }
        for _, make in ipairs(makers) do
          local ok, e = pcall(make)
          print(ok, e, _thread.isinstance(e, _thread.RuntimeError))
        end
      end })
      _thread = require "lthread"
    ]]
    local refused = "false\tRuntimeError: the main state of this thread is being closed\ttrue\n"
    assert.equal(refused:rep(4) .. "status 0\n", output)
  end)
end)

it("An object survives that a script calls its finalizer", function()
  local lock, shared = _thread.allocate_lock(), _thread.shared { 1 }
  local object = _thread._local()
  object.value = 1
  for _, each in ipairs { lock, shared, object } do
    debug.getmetatable(each).__gc(each)
  end
  assert.is_true(lock:acquire())
  assert.equal(1, shared[1])
  assert.equal(1, object.value)
end)
