local _thread = require "lthread"
local child = require "fixtures.child"

local function start(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) })
end

local function fields_of(object)
  local fields = {}
  for key, value in pairs(object) do
    fields[key] = value
  end
  return fields
end

describe("_local", function()
  local object

  before_each(function()
    object = _thread._local()
  end)

  it("makes an object without fields", function()
    assert.is_nil(object.field)
    assert.same({}, fields_of(object))
    assert.is_true(_thread.isinstance(object, _thread._local))
    assert.is_false(_thread.isinstance({}, _thread._local))
    assert.matches("^<_thread%._local object at 0?x?%x+>$", tostring(object))
  end)

  it("keeps values of any type under keys of any type", function()
    local key = {}
    object.name = "value"
    object[1] = print
    object[key] = key
    object[2.5] = false
    assert.same({ name = "value", [1] = print, [key] = key, [2.5] = false }, fields_of(object))
    assert.equal(key, object[key])
    assert.is_false(object[2.5])
    object.name = nil
    assert.is_nil(object.name)
    assert.is_nil(fields_of(object).name)
  end)

  it("takes no field named nil", function()
    assert.is_false(pcall(function()
      object[nil] = 1
    end))
    assert.is_nil(object[nil])
    assert.same({}, fields_of(object))
  end)

  it("keeps the fields of two objects apart", function()
    local other = _thread._local()
    object.name = "first"
    other.name = "second"
    assert.equal("first", object.name)
    assert.equal("second", other.name)
    assert.not_equal(object, other)
  end)

  it("shows a thread none of another thread's fields", function()
    object.mine = "main"
    assert.same({ n = 2, nil, {} }, table.pack(start(function()
      local fields = {}
      for key, value in pairs(object) do
        fields[key] = value
      end
      return object.mine, fields
    end):result()))
  end)

  it("gives each thread fields of its own", function()
    object.value = "main"
    local results, threads = {}, {}
    local gate = _thread.allocate_lock()
    gate:acquire()
    for i = 1, 4 do
      threads[i] = start(function(value)
        object.value = value
        gate:acquire()
        gate:release()
        return object.value
      end, i)
    end
    gate:release()
    for i = 1, 4 do
      results[i] = threads[i]:result()
    end
    assert.same({ 1, 2, 3, 4 }, results)
    assert.equal("main", object.value)
  end)

  it("keeps the fields of a thread while it runs", function()
    local ping, pong = _thread.allocate_lock(), _thread.allocate_lock()
    ping:acquire()
    pong:acquire()
    local counter = start(function()
      object.count = 0
      for _ = 1, 5 do
        ping:acquire()
        object.count = object.count + 1
        pong:release()
      end
      return object.count
    end)
    for _ = 1, 5 do
      object.count = (object.count or 100) + 100
      ping:release()
      assert.is_true(pong:acquire(true, 60))
    end
    assert.equal(5, counter:result())
    assert.equal(600, object.count)
  end)

  it("crosses to another thread and back by reference", function()
    object.mine = "main"
    local back, list = start(function(argument)
      argument.mine = "thread"
      return argument, { object }
    end, object):result()
    assert.equal(object, back)
    assert.equal(object, list[1])
    assert.equal("main", back.mine)
  end)

  it("is one object in a thread that gets it twice", function()
    assert.same({ true, "set" }, { start(function(argument)
      argument.field = "set"
      return argument == object, object.field
    end, object):result() })
  end)

  it("is the same for all coroutines of a thread", function()
    object.field = "outside"
    local inside = coroutine.wrap(function()
      coroutine.yield(object.field)
      object.field = "inside"
    end)
    assert.equal("outside", inside())
    inside()
    assert.equal("inside", object.field)
  end)

  it("keeps its fields through a collection of garbage", function()
    object.list = { "kept" }
    collectgarbage()
    collectgarbage()
    assert.same({ "kept" }, object.list)
  end)

  it("keeps its fields when it comes back after a collection", function()
    local gate = _thread.allocate_lock()
    gate:acquire()
    object.field = "kept"
    local holder = start(function(argument)
      gate:acquire()
      return argument
    end, object)
    object = nil
    collectgarbage()
    collectgarbage()
    gate:release()
    assert.equal("kept", holder:result().field)
  end)

  it("never shows the fields of an object that is gone", function()
    for i = 1, 200 do
      local fresh = _thread._local()
      assert.is_nil(fresh.field)
      fresh.field = i
      if i % 50 == 0 then
        collectgarbage()
      end
    end
  end)

  it("loses its fields when it is gone, in a thread that lives on", function()
    local kept, finalized, most, other = start(function(held)
      require("support.pace").set("pause", 150)
      held.field = "kept"
      local finalized, most = 0, 0
      local function count_up() finalized = finalized + 1 end
      for i = 1, 300000 do
        local fresh = _thread._local()
        fresh.list = { i, i + 1, i + 2, i + 3 }
        if i % 1000 == 0 then
          fresh.value = setmetatable({}, { __gc = count_up })
          most = math.max(most, collectgarbage("count"))
        end
      end
      collectgarbage()
      object.other = 1
      return held.field, finalized, most, object.other
    end, object):result()
    assert.equal("kept", kept)
    assert.is_true(finalized > 100, finalized)
    assert.is_true(most < 35000, most) -- kilobytes; 50,000 if nothing went
    assert.equal(1, other)
  end)

  it("keeps its fields in one thread as long as another thread has it", function()
    local to_go, gone = _thread.allocate_lock(), _thread.allocate_lock()
    to_go:acquire()
    gone:acquire()
    object.field = "kept"
    local holder = start(function(argument)
      gone:release()
      to_go:acquire()
      return argument
    end, object)
    object = nil
    assert.is_true(gone:acquire(true, 60))
    for i = 1, 1000 do
      _thread._local().field = i
      if i % 100 == 0 then
        collectgarbage()
      end
    end
    to_go:release()
    assert.equal("kept", holder:result().field)
  end)

  it("keeps its fields when it comes back in the middle of a collection", function()
    local output = child([[
      local _thread = require "lthread"
      local object, gate = _thread._local(), _thread.allocate_lock()
      gate:acquire()
      local function hold(argument) gate:acquire() return argument end
      object.field = "kept"
      local holder = _thread.start_joinable_thread(hold, {args = {object}})
      while _thread.enumerate()[2].state ~= "blocked" do _thread.sleep(0.001) end
      collectgarbage()
      collectgarbage("incremental", 100, 10, 6)
      collectgarbage("stop")
      -- The finalizers of these run before that of the object, which is older.
      local garbage, count, finalized = {}, 20000, 0
      local with_gc = {__gc = function() finalized = finalized + 1 end}
      for i = 1, count do garbage[i] = setmetatable({}, with_gc) end
      object, garbage = nil, nil
      repeat collectgarbage("step", 1) until finalized > 0
      gate:release()
      local back = holder:result()
      print(finalized < count, back.field, back.other)
    ]])
    assert.equal("true\tkept\tnil\nstatus 0\n", output)
  end)

  it("comes back again and again", function()
    local function echo(argument) return argument end
    object.count = 0
    for i = 1, 50 do
      local handle = start(echo, object)
      object = nil
      collectgarbage()
      object = handle:result()
      assert.equal(i - 1, object.count)
      object.count = i
    end
  end)

  it("is walked by pairs while its fields are cleared", function()
    for i = 1, 10 do
      object[i] = i * i
    end
    local sum = 0
    for key, value in pairs(object) do
      sum = sum + value
      object[key] = nil
    end
    assert.equal(385, sum)
    assert.same({}, fields_of(object))
  end)

  it("holds a thread's values only as long as the thread", function()
    local gone = _thread.allocate_lock()
    gone:acquire()
    local thread = start(function()
      object.value = setmetatable({}, {
        __gc = function()
          gone:release()
        end,
      })
    end)
    assert.is_true(thread:join(60))
    assert.is_false(gone:locked())
    assert.is_nil(object.value)
  end)

  it("holds its fields no longer than it lives", function()
    for _ = 1, 3 do collectgarbage() end
    local before = collectgarbage "count"
    for i = 1, 10 do
      local dropped = _thread._local()
      dropped.value = ("x"):rep(1e6 + i)
    end
    for _ = 1, 3 do collectgarbage() end
    assert.is_true(collectgarbage "count" - before < 1000, collectgarbage "count" - before)
  end)
end)
