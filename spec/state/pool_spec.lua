local _thread = require "lthread"
local child = require "fixtures.child"
local threads = require "support.threads"

local call = threads.call

local sanitized = os.getenv "LTHREAD_SANITIZER" ~= nil

-- The address sanitizer keeps what was freed, and none runs within a limit of address space.
local unless_sanitized = sanitized and function() end or it

-- The resident memory is known where there is /proc.
local where_measured = not sanitized and io.open "/proc/self/status" and it or function() end

-- For scripts in processes of their own.
local prelude = [[
  local _thread = require "lthread"
  local function call(f, ...)
    return _thread.start_joinable_thread(f, { args = { ... } }):result()
  end
  _thread.set_excepthook(function() end)
  local function megabytes()
    local file <close> = io.open "/proc/self/status"
    return tonumber(file:read("a"):match "VmRSS:%s*(%d+) kB") / 1024
  end
]]

describe("a thread's memory", function()
  -- Blocks of every length up to 3,000 bytes, made, lengthened, shortened and dropped in no order.
  local function work(seed)
    math.randomseed(seed)
    local texts, lists = {}, {}
    for _ = 1, 15000 do
      local place, length = math.random(500), math.random(0, 3000)
      local text, list = texts[place], lists[place]
      if text then assert(text == string.rep(string.char(#text % 256), #text)) end
      texts[place] = math.random(4) > 1 and string.rep(string.char(length % 256), length) or nil
      if list then for i, value in ipairs(list) do assert(value == place + i) end end
      list = math.random(4) > 1 and list or {}
      for i = #list + 1, #list + length % 40 do list[i] = place + i end
      for i = #list, #list - length % 30, -1 do list[i] = nil end
      lists[place] = math.random(8) > 1 and list or nil
      if place == 1 then collectgarbage(math.random(2) > 1 and "collect" or "step") end
    end
    return true
  end

  it("keeps what is in it", function()
    local handles = {}
    for seed = 1, 4 do
      handles[seed] = _thread.start_joinable_thread(work, { args = { seed } })
    end
    for seed = 1, 4 do
      assert.is_true((handles[seed]:result()))
    end
  end)

  it("is counted as elsewhere", function()
    local function growth()
      collectgarbage "stop"
      local before, kept = collectgarbage "count", {}
      for i = 1, 1000 do kept[i] = { i, { name = i } } end
      kept[1] = string.rep("x", 1000000)
      kept[2] = function() return kept end
      local taken = collectgarbage "count" - before
      collectgarbage "restart"
      return taken, #kept
    end
    growth()
    local expected = growth()
    assert.equal(expected, (call(function()
      growth()
      return (growth())
    end)))
  end)

  it("can hold strings that are long", function()
    local size = 64 * 1024 * 1024
    assert.equal(size + 1, (call(function()
      local text = string.rep("abcdefgh", size // 8) .. "!"
      assert(text:sub(-9) == "abcdefgh!")
      return #text
    end)))
  end)

  where_measured("goes back when the thread needs it no more", function()
    local output = child(prelude .. [[
      local function fill(count)
        local all = {}
        for i = 1, count do all[i] = { i, name = {} } end
        return all
      end
      local before = megabytes()
      local most, after = call(function()
        local all = fill(1000000)
        local most = megabytes()
        all = nil
        collectgarbage() collectgarbage()
        local after = megabytes()
        all = fill(1000)
        assert(all[1000][1] == 1000)
        return most, after
      end)
      assert(most - before > 60, most) -- of 114 where addresses have 32 bits
      assert(after - before < (most - before) / 4, after)
      print "gone"
    ]])
    assert.equal("gone\nstatus 0\n", output)
  end)

  -- The thread asks for no collection: it goes on with little.
  where_measured("goes back to the system while the thread does other things", function()
    local output = child(prelude .. [[
      call(function()
        local before, all = megabytes(), {}
        for i = 1, 500000 do all[i] = { i, name = {} } end
        local most = megabytes()
        all = nil
        for i = 1, 1000 do
          for j = 1, 20000 do local _ = { i } end
          if megabytes() - before < (most - before) / 4 then return end
        end
        error(megabytes() - before)
      end)
      print "gone"
    ]])
    assert.equal("gone\nstatus 0\n", output)
  end)

  where_measured("goes back when the thread ends", function()
    local output = child(prelude .. [[
      local before = megabytes()
      for _ = 1, 4 do
        call(function()
          all = {}
          for i = 1, 500000 do all[i] = { i, name = {} } end
        end)
      end
      assert(megabytes() - before < 50, megabytes())
      print "gone"
    ]])
    assert.equal("gone\nstatus 0\n", output)
  end)

  -- At once, so that malloc has them in places of its own for each thread.
  where_measured("goes back to the system with its thread, also that of long strings", function()
    local output = child(prelude .. [[
      local before = megabytes()
      local function fill(seed, full, go)
        math.randomseed(seed)
        local all, bytes = {}, 0
        while bytes < 20e6 do
          all[#all + 1] = ("x"):rep(math.random(600, 60000))
          bytes = bytes + #all[#all]
        end
        full:release()
        go:acquire()
        go:release()
      end
      for _ = 1, 2 do
        local go, full, handles = _thread.allocate_lock(), _thread.allocate_lock(), {}
        go:acquire()
        full:acquire()
        for i = 1, 12 do
          handles[i] = _thread.start_joinable_thread(fill, { args = { i, full, go } })
          full:acquire()
        end
        go:release()
        for _, handle in ipairs(handles) do handle:join() end
      end
      assert(megabytes() - before < 60, megabytes())
      print "gone"
    ]])
    assert.equal("gone\nstatus 0\n", output)
  end)

  -- A compiler makes its arrays longer and longer, and cuts them at the end.
  where_measured("does not grow while the same is done again and again", function()
    local output = child(prelude .. [[
      local first, last = call(function()
        local function compile()
          for i = 1, 20000 do
            local text = "local a, b = 1, %d local function g(x) return x + a + b end return g(%d)"
            load(text:format(i, i))()
          end
          return megabytes()
        end
        local first = compile()
        for _ = 1, 3 do compile() end
        return first, compile()
      end)
      assert(last - first < 2, last - first)
      print "level"
    ]])
    assert.equal("level\nstatus 0\n", output)
  end)

  unless_sanitized("may come to an end", function()
    local output = child(prelude .. [[
      local function fill()
        local list = {}
        for i = 1, math.huge do list = { list, i, name = { i } } end
      end
      print(call(function()
        local done, message = pcall(fill)
        collectgarbage()
        local again = {}
        for i = 1, 100000 do again[i] = { i } end
        return done, message, #again
      end))
      print(pcall(call, fill))
      print(pcall(call, function() return string.rep("x", 1 << 30) end))
      print(call(function() return "usable" end))
    ]], "ulimit -v 600000 &&")
    assert.equal("false\tnot enough memory\t100000\nfalse\tnot enough memory\n" ..
      "false\tnot enough memory\nusable\nstatus 0\n", output)
  end)
end)

describe("warn in a thread", function()
  local script = [[
    warn("off at first")
    warn("@on")
    warn("one")
    warn("in ", "", "pieces")
    warn("@off ", "is no control message here")
    warn("@unknown")
    warn("@off")
    warn("two")
    warn("pieces", "@on")
    warn("three")
    setmetatable({}, { __gc = function() error("in a finalizer", 0) end })
    collectgarbage()
    warn("@on", "")
    warn("@off")
    warn("four")
  ]]

  it("does what the stock interpreter does", function()
    local expected = child(script)
    assert.matches("Lua warning: in pieces\n.*three\n.*in a finalizer", expected)
    local output = child(([[
      require "lthread".start_joinable_thread(function() %s end):join()
    ]]):format(script))
    assert.equal(expected, output)
  end)
end)
