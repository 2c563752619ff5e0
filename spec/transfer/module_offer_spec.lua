-- Modules that a thread can't require by itself: those of a host, and those that a script or a
-- searcher of its own has put into package.loaded.
local _thread = require "lthread"
local queue = require "lthread.queue"
local hosts = require "support.hosts"
local transfers = require "support.transfers"
local call = transfers.call

transfers.clean_up()

local function run_host(script)
  local path = os.tmpname()
  local file <close> = io.open(path, "w")
  file:write('local _thread = require "lthread"\n', script)
  file:close()
  local output = hosts.run("modules", "<" .. path)
  os.remove(path)
  return output
end

describe("a thread has the module of a host", function()
  it("by require", function()
    assert.equal("8\t10\t1\tstatus 0\n", run_host [[
      local start = _thread.start_joinable_thread
      for _ = 1, 2 do
        local a, b, c = start(function()
          local lib = require "hostlib"
          assert(lib == require "hostlib" and lib == package.loaded.hostlib)
          return lib.twice(4), lib.inner.twice(5), lib.limit
        end):result()
        if _ == 2 then io.write(a, "\t", b, "\t", c, "\t") end
      end
    ]])
  end)

  it("as one, whichever way it comes", function()
    assert.equal("status 0\n", run_host [[
      local start = _thread.start_joinable_thread
      local upvalue = require "hostlib"
      local twice, inner = upvalue.twice, upvalue.inner
      for _ = 1, 2 do
        start(function(argument)
          assert(argument == upvalue and upvalue == hostlib and hostlib == require "hostlib")
          assert(inner == hostlib.inner and twice == hostlib.twice and twice(4) == 8)
        end, { args = { upvalue } }):result()
        start(function()
          assert(require "hostlib" == upvalue and upvalue.inner == inner)
        end):result()
        assert(start(function() return upvalue end):result() == upvalue)
        assert(start(function() return require "hostlib" end):result() == upvalue)
        assert(start(function() return (require "hostlib").inner end):result() == inner)
      end
    ]])
  end)

  it("also a thread of a thread, and one that goes on", function()
    assert.equal("status 0\n", run_host [[
      local start, queue = _thread.start_joinable_thread, require "lthread.queue"
      local upvalue = hostlib
      local nested = function()
        return start(function() return (require "hostlib").twice(4) end):result()
      end
      assert(start(nested):result() == 8)
      assert(start(function() return start(nested):result() end):result() == 8)
      assert(start(function() return upvalue.twice(2) + nested() end):result() == 12)
      assert(start(function()
        local lib = require "hostlib"
        return start(function() return lib == require "hostlib" and lib.twice(1) end):result()
      end):result() == 2)
      local q, answers = queue.Queue(), queue.Queue()
      local handle = start(function()
        local lib = require "hostlib"
        for _ = 1, 2 do
          local got = q:get()
          answers:put { got == lib, got.limit, got.added }
        end
      end)
      q:put(upvalue)
      local answer = answers:get()
      assert(answer[1] and answer[2] == 1)
      upvalue.limit, upvalue.added = 2, "x"
      q:put(upvalue)
      answer = answers:get()
      assert(answer[1] and answer[2] == 2 and answer[3] == "x")
      handle:join()
      local a, b = start(function()
        local lib = require "hostlib"
        return lib.limit, lib.added
      end):result()
      assert(a == 2 and b == "x")
    ]])
  end)

  it("without what can't cross, which is refused when it is sent", function()
    assert.equal("status 0\n", run_host [[
      local start = _thread.start_joinable_thread
      local upvalue, count_up = hostlib, hostlib.count_up
      for _ = 1, 2 do
        assert(start(function() return (require "hostlib").count_up end):result() == nil)
        assert(start(function()
          return upvalue.count_up == nil and upvalue.twice(2)
        end):result() == 4)
        local ok, e = pcall(start, function() return count_up() end)
        assert(not ok and _thread.isinstance(e, _thread.TypeError))
        assert(e.message:find("a C function with upvalues", 1, true), e.message)
      end
    ]])
  end)
end)

describe("a module set by hand", function()
  local function offer(name, module)
    package.loaded["lt_spec." .. name] = module
    return module
  end

  it("is one in each thread", function()
    local count = 0
    local module = offer("counted", { sub = { 1 } })
    function module.up() count = count + 1 return count end
    local up = module.up
    for _ = 1, 2 do
      assert.same({ true, true, true, 1, 2 }, { call(function(m)
        local lib = require "lt_spec.counted"
        return lib == m, lib == module, up == lib.up, up(), lib.up()
      end, module) })
    end
    assert.equal(0, count)
  end)

  it("may hold others, and be a function", function()
    local part = offer("whole.part", { n = 1 })
    local whole = offer("whole", { part = part, f = offer("f", function() return part.n end) })
    for _ = 1, 2 do
      assert.same({ true, true, 1 }, { call(function()
        local lib = require "lt_spec.whole"
        return lib.part == require "lt_spec.whole.part", lib == whole, require "lt_spec.f"()
      end) })
    end
  end)

  it("may have been put there while a thread runs", function()
    local requests, answers = queue.SimpleQueue(), queue.SimpleQueue()
    local handle = _thread.start_joinable_thread(function()
      for _ = 1, 2 do
        answers:put(requests:get() == requests:get())
      end
    end)
    local module = offer("late", { 1 })
    _thread.start_joinable_thread(function() end):join()
    for _ = 1, 2 do
      requests:put(module)
      requests:put(module)
      assert.is_true(answers:get(true, 20))
    end
    handle:join()
  end)

  it("that can't cross is not there, and hinders no start", function()
    local stuck = coroutine.create(function() end)
    offer("stuck", function() return stuck end)
    assert.is_false((call(function() return (pcall(require, "lt_spec.stuck")) end)))
  end)
end)
