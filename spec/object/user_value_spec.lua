-- A script that takes apart what the library keeps with its objects, with debug, gets an error or
-- something that does not work any more, and never a crash.
local _thread = require "lthread"
local queue = require "lthread.queue"

local function collect()
  collectgarbage()
  collectgarbage()
end

describe("debug.setuservalue", function()
  it("on a loop over a queue, leaves it its queue", function()
    local iterator, loop
    do
      local q = queue.Queue()
      q:put "first"
      q:put "second"
      q:shutdown()
      iterator, loop = q:each(true)
    end
    debug.setuservalue(loop, nil, 1)
    collect()
    assert.same({ 1, "first" }, { iterator(loop, 0) })
    assert.same({ 2, "second" }, { iterator(loop, 1) })
    assert.is_nil(iterator(loop, 2))
  end)

  it("on a per_thread, lets its value be closed", function()
    local closed = 0
    local function make()
      return { close = function() end }
    end
    local per_thread = _thread.per_thread(make, { close = true })
    per_thread().close = function() closed = closed + 1 end
    local box = debug.getuservalue(per_thread, 1)
    debug.setuservalue(per_thread, nil, 1)
    per_thread = nil -- luacheck: ignore 311
    collect()
    assert.equal(0, closed)
    assert.is_userdata(box)
    box = nil -- luacheck: ignore 311
    collect()
    assert.equal(1, closed)
  end)

  it("on a per_thread, which has what is no value of it, is told", function()
    local per_thread = _thread.per_thread(function() return 1 end)
    debug.setuservalue(per_thread, _thread.allocate_lock(), 1)
    assert.is_false(pcall(per_thread))
    per_thread = nil -- luacheck: ignore 311
    collect()
    assert.is_nil(per_thread)
  end)

  for name, kind in pairs {
    _local = function()
      local object = _thread._local()
      object.field = 1
      return object
    end,
    per_thread = function()
      local object = _thread.per_thread(function() return {} end)
      object()
      return object
    end
  } do
    it("gives many a value of one " .. name .. ", while others have them", function()
      local held = queue.SimpleQueue()
      local value = debug.getuservalue(kind(), 1)
      for _ = 1, 200 do
        local object = name == "_local" and _thread._local() or _thread.per_thread(print)
        debug.setuservalue(object, value, 1)
        held:put(object)
      end
      collect()
      for _ = 1, 200 do
        assert.is_userdata(held:get())
      end
      collect()
      for _ = 1, 100 do
        kind()
      end
      collect()
      assert.is_userdata(kind())
    end)
  end
end)
