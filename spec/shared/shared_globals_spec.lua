-- The shared globals, and chunks whose globals they are.
local _thread = require "lthread"

local lua = os.getenv "LTHREAD_LUA" or "lua5.4"

local function start(f, ...)
  return _thread.start_joinable_thread(f, {args = table.pack(...)})
end

-- What a script that runs in a process of its own prints.
local function run(code)
  local script = os.tmpname()
  local file = io.open(script, "w")
  file:write(code)
  file:close()
  local pipe = io.popen(("timeout 300 '%s' '%s' 2>&1"):format(lua, script))
  local text = pipe:read "a"
  local ok = pipe:close()
  os.remove(script)
  assert.is_true(ok, text)
  return text
end

local counter = [[
local _thread = require "_thread"
local _ENV = _thread.globals

count = 0
lock = _thread.allocate_lock()
done = {}

function increment(times)
  for i = 1, times do
    lock:acquire()
    count = count + 1
    lock:release()
  end
end

function worker(number)
  increment(10000)
  done[number]:release()
end

for i = 1, 4 do
  done[i] = _thread.allocate_lock()
  done[i]:acquire()
  _thread.start_new_thread(worker, {i})
end
for i = 1, 4 do
  done[i]:acquire()
end
print(count)
]]

describe("_thread.globals", function()
  after_each(function()
    for key in pairs(_thread.globals) do
      _thread.globals[key] = nil
    end
  end)

  it("is one shared table for all threads of a runtime", function()
    _thread.globals.value = 1
    assert.is_true(_thread.isinstance(_thread.globals, _thread.shared))
    assert.same({true, 1}, {start(function(globals)
      local own = require "lthread".globals
      return own == globals, own.value
    end, _thread.globals):result()})
    assert.equal(_thread.globals, _thread.globals)
  end)

  it("takes what it lacks from the state's own globals", function()
    local G = _thread.globals
    assert.equal(print, G.print)
    assert.is_nil(rawget(_G, "nobody has this"))
    assert.is_nil(G["nobody has this"])
    G.print = "mine"
    assert.equal("mine", G.print)
    G.print = nil
    assert.equal(print, G.print)
    assert.is_nil(next(_thread.copy(G)))
    assert.is_nil(_thread.shared().print)
    assert.equal("function", start(function() return type(_thread.globals.print) end):result())
  end)

  -- luacheck: push ignore
  it("is the home of a chunk's globals", function()
    local assert = assert
    local _ENV = _thread.globals
    x = 1
    function get() return x end
    function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
    assert.is_nil(rawget(_G, "x"))
    assert.equal(get, get)
    assert.same({1, 55}, {start(function() return get(), fib(10) end):result()})
    start(function() x = x + 1 end):result()
    assert.equal(2, get())
  end)

  it("lets a function be defined by one thread and called by another", function()
    start(function()
      local _ENV = _thread.globals
      function even(n) return n == 0 or odd(n - 1) end
      function odd(n) return n ~= 0 and even(n - 1) end
    end):result()
    assert.is_true(_thread.globals.even(10))
    assert.is_false(_thread.globals.odd(10))
  end)
  -- luacheck: pop

  it("makes four threads add up that count under a lock, as written in Python", function()
    assert.equal("40000\n", run(counter))
  end)

  it("is freed with its runtime, with all cycles in it", function()
    assert.equal("ended\n", run [[
      local _thread = require "lthread"
      local G = _thread.globals
      G.self = G
      G.t = {G = G}
      G.f = function() return G end
      G.handle = _thread.start_joinable_thread(function() return G end)
      local cycle = _thread.shared()
      cycle.cycle = cycle
      _thread.start_new_thread(function()
        G.g = function() return G.f end
        _thread.sleep(1e6)
      end, {})
      setmetatable({}, {__gc = function() G.last = G print "ended" end})
    ]])
  end)
end)
